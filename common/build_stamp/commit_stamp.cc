// A Bazel linkstamp: compiled at each link. BUILD_SCM_REVISION is the key of
// third_party/setup/workspace_status.sh; Bazel defines it as "0" where that key is absent and in
// links without --stamp.
extern "C" {
extern const char ringmaster_commit[];
const char ringmaster_commit[] = BUILD_SCM_REVISION;
}
