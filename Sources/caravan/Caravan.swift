internal import Processes

@main
struct Caravan {
    static func main() {
        ProcessGuard.becomeCommandIfRequested()
    }
}
