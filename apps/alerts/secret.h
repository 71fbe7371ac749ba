// Passwords and tokens: from a file or the environment, never from the command line, which every
// user of a machine can read.
#pragma once

#include <string>

namespace maskwatch::apps {

// The first line of `file` (as `option` was given), or, where that is empty, the variable of the
// environment. Empty: there is none. UsageError for a file without a first line, or for a line
// that no header can carry (control characters); std::runtime_error if it cannot be read. No
// message holds the secret.
std::string read_secret(const std::string& option, const std::string& file, const char* variable);

// In a time that does not depend on where they differ.
bool same_secret(const std::string& one, const std::string& other);

}  // namespace maskwatch::apps
