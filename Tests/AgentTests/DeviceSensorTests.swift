import Primitives
import Testing

@testable import Agent

/// What Linux and Android say of a device, in their own words.
struct DeviceSensorTests {
    @Test func `memory is read from meminfo`() throws {
        let text = """
            MemTotal:        7836128 kB
            MemFree:          177896 kB
            MemAvailable:    3217428 kB
            Buffers:            1676 kB
            SwapTotal:       4194300 kB
            """
        let memory = try #require(
            DeviceMemory(SampleFiles(texts: ["/proc/meminfo": text]))
        )
        #expect(memory.total == ByteCount(7_836_128 << 10))
        #expect(memory.available == ByteCount(3_217_428 << 10))
    }

    @Test(arguments: ["", "MemTotal: 5 kB", "MemTotal: x kB\nMemAvailable: 1 kB"])
    func `meminfo without both amounts tells nothing`(text: String) {
        #expect(DeviceMemory(meminfo: text) == nil)
    }

    @Test(arguments: [
        ("0-7", 8), ("0", 1), ("0-3,5", 5), ("0,2-3", 3), ("", nil), ("x", nil), ("3-1", nil),
        ("0-", nil), ("-1", nil), ("0-99999999", nil),
    ])
    func `ranges of processors are counted`(text: String, count: Int?) {
        #expect(DeviceProcessors.count(ofRanges: text) == count)
    }

    @Test func `processors are counted from cpuinfo where sysfs is closed`() {
        let x86 = "processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\nmodel name\t: x\n"
        let arm = "Processor\t: ARMv7\nprocessor\t: 0\nBogoMIPS\t: 38\nprocessor\t: 1\n"
        for text in [x86, arm] {
            #expect(DeviceProcessors(SampleFiles(texts: ["/proc/cpuinfo": text])).threadCount == 2)
        }
        let both = SampleFiles(texts: [
            "/proc/cpuinfo": x86, "/sys/devices/system/cpu/present": "0-7\n",
        ])
        #expect(DeviceProcessors(both).threadCount == 8)
        #expect(DeviceProcessors(SampleFiles(texts: [:])).threadCount == 0)
    }

    @Test func `a device without any power supply lives on mains`() {
        let files = SampleFiles(texts: [:], emptyFolders: ["/sys/class/power_supply"])
        #expect(DevicePower.read(files) == .mains)
    }

    @Test func `a device that keeps its power supplies to itself is unknown`() {
        #expect(DevicePower.read(SampleFiles(texts: [:])) == .unknown)
        // Android lists the names and closes the files.
        let names = SampleFiles.power(["battery": ["uevent": ""], "usb": ["uevent": ""]])
        #expect(DevicePower.read(names) == .unknown)
    }

    @Test(arguments: [
        ("Discharging", "0", PowerSource.battery(83)), ("Charging", "1", .charging(83)),
        ("Full", "1", .charging(83)), ("Not charging", "1", .charging(83)),
        ("Unknown", "1", .charging(83)), ("Unknown", "0", .battery(83)),
        // A charger that is too weak.
        ("Discharging", "1", .battery(83)),
    ])
    func `a laptop's battery and charger are read`(
        status: String,
        online: String,
        expected: PowerSource
    ) {
        let files = SampleFiles.power([
            "AC": ["type": "Mains", "online": online],
            "BAT0": ["type": "Battery", "present": "1", "status": status, "capacity": "83"],
        ])
        #expect(DevicePower.read(files) == expected)
    }

    @Test func `two batteries count together, an empty bay and a mouse do not`() {
        let files = SampleFiles.power([
            "BAT0": ["type": "Battery", "present": "1", "status": "Unknown", "capacity": "60"],
            "BAT1": ["type": "Battery", "present": "1", "status": "Discharging", "capacity": "90"],
            "BAT2": ["type": "Battery", "present": "0", "status": "Unknown", "capacity": "0"],
            "hid": [
                "type": "Battery", "scope": "Device", "status": "Discharging", "capacity": "5",
            ],
        ])
        #expect(DevicePower.read(files) == .battery(75))
    }

    @Test func `a phone's gauge is no battery of its own`() {
        let files = SampleFiles.power([
            "battery": ["type": "Battery", "status": "Charging", "capacity": "41", "present": "1"],
            "bms": ["type": "BMS", "capacity": "7"], "usb": ["type": "USB_PD", "online": "1"],
        ])
        #expect(DevicePower.read(files) == .charging(41))
    }

    @Test func `a desktop with nothing but its mouse's battery lives on mains`() {
        let files = SampleFiles.power([
            "hid": ["type": "Battery", "scope": "Device", "capacity": "50"],
            "AC": ["type": "Mains", "online": "1"],
        ])
        #expect(DevicePower.read(files) == .mains)
    }

    @Test func `a charge beyond its bounds is cut`() {
        let files = SampleFiles.power([
            "b": ["type": "Battery", "status": "Discharging", "capacity": "250"]
        ])
        #expect(DevicePower.read(files) == .battery(100))
    }

    @Test func `the hottest zone counts`() {
        let files = SampleFiles.thermal([
            "thermal_zone0": ["type": "acpitz", "temp": "27800"],
            "thermal_zone1": ["type": "x86_pkg_temp", "temp": "61000"],
            "thermal_zone2": ["type": "off", "temp": "-274000"],
            "thermal_zone3": ["type": "closed"],
            "cooling_device0": ["type": "Processor", "cur_state": "0", "max_state": "3"],
            "cooling_device1": ["type": "Fan", "cur_state": "1", "max_state": "1"],
        ])
        let heat = DeviceHeat(files)
        #expect(heat.temperature == 61)
        #expect(!heat.isThrottled)
    }

    @Test(arguments: ["Processor", "thermal-cpufreq-0", "cpu-cluster0"])
    func `a processor that was slowed down is throttled`(type: String) {
        let files = SampleFiles.thermal([
            "thermal_zone0": ["type": "cpu", "temp": "92000"],
            "cooling_device4": ["type": type, "cur_state": "2", "max_state": "9"],
        ])
        #expect(DeviceHeat(files).isThrottled)
    }

    @Test(arguments: [
        (45_000, 45), (1000, 1), (450, 45), (45, 45), (149, 149), (0, nil), (-40_000, nil),
        (200_000, nil), (999, 99),
    ])
    func `a zone's number is understood in any unit`(number: Int, degrees: UInt8?) {
        #expect(DeviceHeat.degrees(number) == degrees)
    }

    @Test func `a device without thermal zones tells no temperature`() {
        #expect(DeviceHeat(SampleFiles(texts: [:])).temperature == nil)
    }

    #if os(Linux)
    @Test func `this very device can be read`() throws {
        let files = OwnSystemFiles()
        let memory = try #require(DeviceMemory(files))
        #expect(memory.total >= memory.available)
        #expect(memory.total > .zero)
        #expect(DeviceProcessors(files).threadCount > 0)
    }
    #endif
}
