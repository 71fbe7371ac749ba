// What lies outside the program and is not there now: a server, a camera, a port.
#pragma once

#include <stdexcept>

namespace maskwatch {

// It may be there later without anything being changed: a failure at work, where other
// std::runtime_errors are of wrong input.
class Unavailable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace maskwatch
