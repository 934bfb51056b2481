// What tests include besides.
#ifndef RINGMASTER_THIRD_PARTY_BUILD_TEST_HEADERS_H_
#define RINGMASTER_THIRD_PARTY_BUILD_TEST_HEADERS_H_

#include "third_party/build/headers.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#endif  // RINGMASTER_THIRD_PARTY_BUILD_TEST_HEADERS_H_
