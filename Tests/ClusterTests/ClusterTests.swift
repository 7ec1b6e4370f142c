import Testing

/// Whole clusters on this machine: real processes, real sockets, the real llama.cpp.
///
/// One after the other: each cluster is several processes that compute.
@Suite(.serialized, .timeLimit(.minutes(3)), .compactMapIssues(Failures.note))
enum ClusterTests {}
