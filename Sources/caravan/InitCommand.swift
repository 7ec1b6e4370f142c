import Agent
import ArgumentParser
import SecureChannel

/// Where a device keeps its cluster's key.
struct KeyLocation: ParsableArguments {
    @Option(
        name: .customLong("state"),
        help: ArgumentHelp("The agent's state folder, where its keys are.", valueName: "dir")
    )
    var folder = Folders.state

    var stateFolder: String { Folders.absolute(folder) }
    var file: ClusterKeyFile { ClusterKeyFile(stateFolder: stateFolder) }
    var farewells: FarewellFile { FarewellFile(stateFolder: stateFolder) }

    /// The keys; a failure that says what to do if there are none.
    func ring() throws -> KeyRing {
        guard let ring = try file.read() else {
            throw CommandFailure(
                "This device belongs to no cluster yet: caravan init makes one, "
                    + "caravan join CODE joins one"
            )
        }
        return ring
    }
}

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a new cluster: a key for this device, and a code for the others.",
        discussion: """
            The code is the key. Whoever has it can join, so pass it on as you would a password; \
            caravan key rotate makes a new one.
            """
    )

    @OptionGroup var location: KeyLocation

    func run() async throws {
        if let ring = try location.file.read() {
            throw CommandFailure(
                """
                This device belongs to a cluster already (\(ring.newest.key)).
                  caravan key show      prints the code for other devices
                  rm \(location.file.path)
                                        makes this device leave it
                """
            )
        }
        let ring = KeyRing(.random())
        try location.file.write(ring)
        print(
            """
            A new cluster begins on this device. Its join code, which lets devices in:

              \(JoinCode.text(for: ring.newest.key))

            On each of the other devices:
              caravan join \(JoinCode.text(for: ring.newest.key))
            and on every device, this one too:
              caravan agent
            """
        )
    }
}

struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Join the cluster that a code stands for.",
        discussion: """
            The device that ran caravan init prints the code again: caravan key show

            A device that was removed (caravan devices remove) comes back as a new one, with a new \
            key of its own: the others never talk to the old one again. If it was on at that time, \
            it knows and does so by itself; else say --new-device.
            """
    )

    @Argument(help: "The join code; capitals, dashes and spaces do not matter.")
    var code: [String]

    @Flag(help: "Leave the cluster that this device belongs to.")
    var replace = false

    @Flag(help: "Come back as a new device, after this one was removed; implies --replace.")
    var newDevice = false

    @OptionGroup var location: KeyLocation

    func run() async throws {
        let key: ClusterKey
        do throws(JoinCode.Problem) {
            key = try JoinCode.key(from: code.joined())
        } catch {
            throw ValidationError("\(error)")
        }
        let wasRemoved = location.farewells.read() != nil
        if !replace, !newDevice, !wasRemoved, let ring = try location.file.read() {
            guard ring.newest.key != key else {
                print("This device belongs to that cluster already.")
                return
            }
            throw CommandFailure(
                "This device belongs to another cluster (\(ring.newest.key)): "
                    + "caravan join --replace CODE leaves it"
            )
        }
        if wasRemoved, !newDevice, let ring = try location.file.read(),
            ring.entries.contains(where: { $0.key == key })
        {
            throw CommandFailure(
                "This device was removed, and the code changed then. The new one, on another "
                    + "device: caravan key show"
            )
        }
        if newDevice || wasRemoved { try DeviceKeyFile.putAside(in: location.stateFolder) }
        try location.file.write(KeyRing(key))
        location.farewells.remove()
        print(
            """
            This device belongs to the cluster now (\(key)). An agent that runs already must be \
            started anew:
              caravan agent
            """
        )
    }
}

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Show or change the cluster's key.",
        subcommands: [Show.self, Rotate.self]
    )

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the join code, which lets devices in."
        )

        @OptionGroup var location: KeyLocation

        func run() async throws {
            print(JoinCode.text(for: try location.ring().newest.key))
        }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new key, which the members take over while they run.",
            discussion: """
                The agent of this device must run: it hands the new key to the members that are \
                there. Devices that are off take it when they come back within seven days; later \
                ones must join again. Old codes let nobody in after that.
                """
        )

        @OptionGroup var location: KeyLocation

        func run() async throws {
            var ring = try location.ring()
            ring.rotate(at: ClusterKeyFile.now)
            try location.file.write(ring)
            print(
                """
                The cluster changes to a new key (\(ring.newest.key)) within \
                \(KeyRing.changeOver) seconds of this device's agent running. Its join code:

                  \(JoinCode.text(for: ring.newest.key))
                """
            )
        }
    }
}
