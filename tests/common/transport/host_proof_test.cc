#include "common/transport/shm/host_proof.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

HostProof NewProof() {
  auto proof = HostProof::Create();
  EXPECT_TRUE(proof.ok()) << proof.status();
  return *std::move(proof);
}

// Whether Check says `text` of the offer, as a difference.
void ExpectDiffers(const HostProof::Offer& offer, const std::string& text) {
  const absl::Status status = HostProof::Check(offer);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
}

TEST(HostProof, HoldsBetweenTwoProcessesOfThisHost) {
  const HostProof proof = NewProof();
  const pid_t child = fork();
  if (child == 0) _exit(HostProof::Check(proof.offer()).ok() ? 0 : 1);
  int how = -1;
  ASSERT_EQ(waitpid(child, &how, 0), child);
  EXPECT_EQ(how, 0);
}

TEST(HostProof, NamesWhatDiffers) {
  const HostProof proof = NewProof();
  struct Difference {
    std::string text;
    std::function<void(HostProof::Offer*)> apply;
  };
  const std::vector<Difference> differences = {
      {"on another machine", [](HostProof::Offer* offer) { offer->boot_id[0] ^= 1; }},
      {"says no boot id", [](HostProof::Offer* offer) { offer->boot_id[0] = 0; }},
      {"another pid namespace", [](HostProof::Offer* offer) { ++offer->pid_namespace; }},
      {"another user", [](HostProof::Offer* offer) { ++offer->user; }},
      {"another process's file", [](HostProof::Offer* offer) { offer->number[3] ^= 1; }},
      {"another process's file", [](HostProof::Offer* offer) { ++offer->inode; }},
      {"not visible here", [](HostProof::Offer* offer) { offer->fd = 1 << 20; }},
  };
  for (const Difference& difference : differences) {
    HostProof::Offer offer = proof.offer();
    difference.apply(&offer);
    ExpectDiffers(offer, difference.text);
  }
  EXPECT_TRUE(HostProof::Check(proof.offer()).ok());
}

TEST(HostProof, AnotherNetworkNamespaceIsAnotherHostThoughMemoryIsShared) {
  const HostProof proof = NewProof();
  EXPECT_TRUE(HostProof::CheckNetwork(proof.offer()).ok());
  HostProof::Offer offer = proof.offer();
  ++offer.network_namespace;
  EXPECT_TRUE(HostProof::Check(offer).ok());
  const absl::Status status = HostProof::CheckNetwork(offer);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "another network namespace")) << status;
}

// What a container's process id and descriptor mean on another host: somebody else's file.
TEST(HostProof, AStrangersFileIsNeitherOpenedNorTaken) {
  const HostProof proof = NewProof();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  HostProof::Offer offer = proof.offer();
  offer.fd = ends[0];
  ExpectDiffers(offer, "another process's file");
  // Of the right size, with the right bytes, and not sealed: its owner could change it under a
  // reader.
  const int file = memfd_create("stranger", MFD_CLOEXEC);
  ASSERT_EQ(write(file, offer.number, sizeof(offer.number)),
            static_cast<ssize_t>(sizeof(offer.number)));
  struct stat status {};
  ASSERT_EQ(fstat(file, &status), 0);
  offer.fd = file;
  offer.inode = status.st_ino;
  ExpectDiffers(offer, "another process's file");
  for (const int fd : {ends[0], ends[1], file}) close(fd);
}

TEST(HostProof, AProofThatIsGoneIsNone) {
  HostProof::Offer offer;
  {
    const HostProof proof = NewProof();
    offer = proof.offer();
  }
  EXPECT_FALSE(HostProof::Check(offer).ok());
}

}  // namespace
}  // namespace ringmaster
