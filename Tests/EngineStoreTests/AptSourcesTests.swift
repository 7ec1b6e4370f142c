import Testing

@testable import EngineStore

@Suite struct AptSourcesTests {
    private func mainArchive(
        _ files: [(name: String, text: String)],
        codename: String? = "bookworm"
    ) -> AptSources.Entry? {
        var sources = AptSources()
        for file in files { sources.read(file.text, fileName: file.name) }
        return sources.mainArchive(codename: codename)
    }

    private let debianStanzas = """
        Types: deb
        # http://snapshot.example/archive/debian/20250520T000000Z
        URIs: http://mirror.example/debian
        Suites: bookworm bookworm-updates
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

        Types: deb
        URIs: http://mirror.example/debian-security
        Suites: bookworm-security
        Components: main
        Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
        """

    private let thirdPartyStanzas = """
        Types: deb
        URIs: https://tools.example/node_20.x
        Suites: bookworm
        Components: main
        Signed-By: /usr/share/keyrings/nodesource.gpg
        """

    @Test func `the main archive is found among stanzas, before and after other repositories`() {
        let files = [("a.sources", thirdPartyStanzas), ("debian.sources", debianStanzas)]
        for files in [files, files.reversed()] {
            let entry = mainArchive(files)
            #expect(entry?.uri == "http://mirror.example/debian")
            #expect(entry?.keyring == "/usr/share/keyrings/debian-archive-keyring.gpg")
        }
    }

    @Test func `the main archive is found among lines`() {
        let text = """
            # deb cdrom:[Debian GNU/Linux 12]/ bookworm main
            deb cdrom:[Debian]/ bookworm main
            deb-src http://mirror.example/debian bookworm main
            deb [arch=amd64 signed-by=/usr/share/keyrings/docker.gpg] https://x.example/debian bookworm main
            deb http://security.example/debian-security bookworm-security main
            deb http://mirror.example/debian/ bookworm main contrib # ours
            """
        let entry = mainArchive([("/etc/apt/sources.list", text)])
        #expect(entry?.uri == "http://mirror.example/debian/")
        #expect(entry?.components == ["main", "contrib"])
        #expect(entry?.keyring == nil)
    }

    @Test func `options may be spread over several words`() {
        let text = """
            deb [ arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://m.example/d trixie main
            """
        let entry = mainArchive([("x.list", text)], codename: "trixie")
        #expect(entry?.uri == "http://m.example/d")
        #expect(entry?.keyring == "/usr/share/keyrings/debian-archive-keyring.gpg")
    }

    @Test func `a source that names Debian's key wins over one that names none`() {
        let lines = "deb http://other.example/debian bookworm main"
        let entry = mainArchive([("x.list", lines), ("debian.sources", debianStanzas)])
        #expect(entry?.uri == "http://mirror.example/debian")
    }

    @Test func `a fresh release with an unknown name is recognised by that name`() {
        let text = "deb http://mirror.example/debian duke main"
        #expect(mainArchive([("x.list", text)], codename: "duke") != nil)
        #expect(mainArchive([("x.list", text)], codename: nil) == nil)
    }

    @Test(arguments: [
        "", "deb", "deb http://a.example/debian", "deb [ http://a.example bookworm main",
        "deb http://a.example/debian bookworm contrib", "rpm http://a.example bookworm main",
        "deb http://archive.example/ubuntu noble main",
        "deb http://a.example/debian-security bookworm main",
    ])
    func `other lines are no main archive`(text: String) {
        #expect(mainArchive([("x.list", text)]) == nil)
    }

    @Test func `a disabled stanza and one with a key in place are passed over`() {
        let disabled = "Enabled: no\n" + debianStanzas
        #expect(mainArchive([("x.sources", disabled)]) == nil)
        let inline = """
            Types: deb
            URIs: http://mirror.example/x
            Suites: bookworm
            Components: main
            Signed-By:
             -----BEGIN PGP PUBLIC KEY BLOCK-----
             .
             mQ
            """
        #expect(mainArchive([("x.sources", inline)]) == nil)
    }

    @Test func `the name of the release is read`() {
        #expect(DebianMirror.codename(in: "ID=debian\nVERSION_CODENAME=bookworm\n") == "bookworm")
        #expect(DebianMirror.codename(in: "VERSION_CODENAME=\"trixie\"") == "trixie")
        #expect(DebianMirror.codename(in: "ID=debian\n") == nil)
    }

    @Test func `the configured mirror is read from a machine's folders`() throws {
        let root = try TemporaryFolder()
        #expect(throws: EngineError.noMirror(filesRead: [])) {
            try DebianMirror.configured(root: root.path)
        }
        try root.write("etc/os-release", "VERSION_CODENAME=bookworm\n")
        try root.write("etc/apt/sources.list.d/debian.sources", debianStanzas)
        try root.write("etc/apt/sources.list.d/node.sources.disabled", thirdPartyStanzas)
        let keyring = "usr/share/keyrings/debian-archive-keyring.gpg"
        try root.write(keyring, "")
        let mirror = try DebianMirror.configured(root: root.path)
        #expect(mirror.uri == "http://mirror.example/debian")
        #expect(mirror.keyring.hasSuffix("/" + keyring))
    }
}

@Suite struct PackageDownloadTests {
    @Test func `apt's list of files is read`() {
        let output = """
            Reading package lists...
            The following NEW packages will be installed:
              llama.cpp-tools
            'http://m.example/pool/libzstd1_1.5.7%2bdfsg-4_amd64.deb' libzstd1_1.5.7+dfsg-4_amd64.deb 304040 MD5Sum:93
            'http://m.example/x.deb' ../evil.deb 1 MD5Sum:93
            'http://m.example/x.deb' x.deb many MD5Sum:93
            """
        #expect(
            PackageDownload.files(in: output)
                == [.init(name: "libzstd1_1.5.7+dfsg-4_amd64.deb", byteCount: 304_040)]
        )
    }

    @Test func `apt's progress is read`() {
        #expect(PackageDownload.fraction(in: "dlstatus:3:41.5:Retrieving file 3 of 29") == 0.415)
        #expect(PackageDownload.fraction(in: "dlstatus:3:x:Retrieving") == nil)
        #expect(PackageDownload.fraction(in: "dlstatus:3:101:Retrieving") == nil)
        #expect(PackageDownload.fraction(in: "pmstatus:3:41.5:Unpacking") == nil)
    }
}
