#include "common/security/certificates.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/security/tls_identity.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

std::string NewPlace(const std::string& name) {
  const std::string path = absl::StrCat(testing::TempDir(), "/", name);
  std::filesystem::remove_all(path);
  return path;
}

std::string Text(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int ModeOf(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
  return static_cast<int>(facts.st_mode & 07777);
}

TEST(Certificates, AFolderIsItsUsersAloneAndBelongsTogether) {
  const std::string folder = NewPlace("own");
  const auto made = MakeCertificates({});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(WriteCertificates(*made, folder + "/", false).ok());
  EXPECT_EQ(ModeOf(folder), 0700);
  for (const char* const file : {kAuthorityFile, kCertificateFile, kKeyFile})
    EXPECT_EQ(ModeOf(absl::StrCat(folder, "/", file)), 0600) << file;
  EXPECT_EQ(Text(absl::StrCat(folder, "/", kKeyFile)), made->key);
  const auto identity = TlsIdentity::Load(folder);
  EXPECT_TRUE(identity.ok()) << identity.status();
}

TEST(Certificates, NothingIsOverwrittenUnlessAskedForAndNothingIsLeftBeside) {
  const std::string parent = NewPlace("parent"), folder = parent + "/tls";
  std::filesystem::create_directory(parent);
  const auto first = MakeCertificates({});
  const auto second = MakeCertificates({});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->key, second->key);
  ASSERT_TRUE(WriteCertificates(*first, folder, false).ok());
  const absl::Status refused = WriteCertificates(*second, folder, false);
  EXPECT_TRUE(absl::IsAlreadyExists(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "--force")) << refused;
  EXPECT_EQ(Text(folder + "/key.pem"), first->key);
  ASSERT_TRUE(WriteCertificates(*second, folder, true).ok());
  EXPECT_EQ(Text(folder + "/key.pem"), second->key);
  // Whoever names a folder of other things by mistake loses nothing.
  std::ofstream(folder + "/thesis.tex") << "years";
  EXPECT_TRUE(absl::IsAlreadyExists(WriteCertificates(*first, folder, true)));
  EXPECT_EQ(Text(folder + "/thesis.tex"), "years");
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(parent)) {
    EXPECT_EQ(entry.path().filename(), "tls");
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

TEST(Certificates, AnEmptyFolderIsFilled) {
  const std::string folder = NewPlace("empty");
  std::filesystem::create_directory(folder);
  const auto made = MakeCertificates({});
  ASSERT_TRUE(WriteCertificates(*made, folder, false).ok());
  EXPECT_EQ(ModeOf(folder), 0700);
}

TEST(Certificates, AKeyThatOthersMayReadIsRefused) {
  const std::string folder = NewPlace("open");
  ASSERT_TRUE(WriteCertificates(*MakeCertificates({}), folder, false).ok());
  chmod((folder + "/key.pem").c_str(), 0640);
  const absl::Status refused = ReadCertificates(folder).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "chmod 600")) << refused;
}

TEST(Certificates, WhatIsNoHostIsNamed) {
  for (const char* const host : {"", "a b", "0.0.0.0", "::", "10.0.0.1:29500", "-x", "a,DNS:b"}) {
    CertificateOptions options;
    options.hosts = {host};
    EXPECT_TRUE(absl::IsInvalidArgument(MakeCertificates(options).status())) << host;
  }
  CertificateOptions options;
  options.hosts = {"node-0.example", "10.0.0.1", "fd00::1", "[::2]"};
  EXPECT_TRUE(MakeCertificates(options).ok());
}

TEST(TlsIdentity, WhatDoesNotBelongTogetherIsRefusedAndAnExpiredFolderToo) {
  const auto one = MakeCertificates({});
  const auto other = MakeCertificates({});
  EXPECT_TRUE(TlsIdentity::Of(*one).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      TlsIdentity::Of({one->authority, one->certificate, other->key}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      TlsIdentity::Of({other->authority, one->certificate, one->key}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(TlsIdentity::Of({"", one->certificate, one->key}).status()));
  CertificateOptions past;
  past.validity = -absl::Hours(1);
  const std::string folder = NewPlace("past");
  ASSERT_TRUE(WriteCertificates(*MakeCertificates(past), folder, false).ok());
  const absl::Status expired = TlsIdentity::Load(folder).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(expired)) << expired;
  EXPECT_TRUE(absl::StrContains(expired.message(), "expired")) << expired;
}

}  // namespace
}  // namespace ringmaster
