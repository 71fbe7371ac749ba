#include "apps/common/program.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace maskwatch::apps {
namespace {

std::string with_hint(const std::string& message, const std::string& hint) {
  return hint.empty() ? message : message + " (" + hint + ")";
}

int report(ExitCode code, const std::string& message) {
  const std::string line = "error: " + one_line(message) + "\n";
  std::fflush(stdout);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  return code;
}

int run_body(int argc, char** argv, const std::function<int(int, char**)>& body) {
  try {
    return body(argc, argv);
  } catch (const CommandDone&) {
    return done;
  } catch (const std::invalid_argument& error) {
    return report(bad_input, error.what());
  } catch (const WriteError& error) {
    return report(failure, error.what());
  } catch (const std::runtime_error& error) {
    return report(bad_input, error.what());
  } catch (const std::domain_error& error) {
    return report(failure, error.what());
  } catch (const std::bad_alloc&) {
    return report(failure, "not enough memory");
  } catch (const std::exception& error) {
    return report(failure, std::string("internal: ") + error.what());
  } catch (...) {
    return report(failure, "internal: an exception of unknown type");
  }
}

// Whoever starts a program with a standard stream closed lets the next file take its number, and
// messages would be written into that file. So the number is taken, by what can be neither read nor
// written: the stream stays as good as closed.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0)
      open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the least number is taken
}

// Characters above 0x7F that a terminal obeys rather than shows: C1 controls, line breaks, and
// those that turn the direction of what follows.
bool is_control(std::uint32_t point) {
  return (point >= 0x80 && point < 0xA0) || (point >= 0x2028 && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069);
}

// The bytes of the character of UTF-8 at the beginning of `text` and its code point; 0 bytes where
// there is none.
std::pair<std::size_t, std::uint32_t> utf8_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                             : lead < 0xF5 ? 4
                                           : 0;
  if (length == 0 || length > text.size()) return {0, 0};
  std::uint32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {0, 0};
    point = point << 6 | (byte & 0x3Fu);
  }
  return {length, point};
}

// Whether standard output is a pipe or socket that nobody reads any more.
bool reader_left() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return poll(&output, 1, 0) == 1 && (output.revents & POLLERR) != 0;
}

// Output that never reached the disk must not look like success. Returns the exit code.
int check_standard_output(int code) {
  errno = 0;
  std::cout.flush();
  std::fflush(stdout);
  if (std::ferror(stdout) == 0 || code != done || reader_left()) return code;
  const std::string reason = errno != 0 ? std::string(": ") + std::strerror(errno) : "";
  return report(failure, "cannot write to standard output" + reason);
}

}  // namespace

UsageError::UsageError(const std::string& message, const std::string& hint)
    : std::runtime_error(with_hint(message, hint)) {}

std::string one_line(const std::string& text) {
  std::string line;
  for (std::string_view rest = text; !rest.empty();) {
    const auto [length, point] = utf8_character(rest);
    const std::string_view character = rest.substr(0, std::max<std::size_t>(length, 1));
    rest.remove_prefix(character.size());
    if (character == "\n" || character == "\r" || character == "\t") {
      line += ' ';
    } else if (length == 0 || point < 0x20 || point == 0x7F || is_control(point)) {
      for (const char byte : character) {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(byte));
        line += escaped;
      }
    } else {
      line += character;
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

void tell(const std::string& note) {
  const std::string line = "note: " + one_line(note) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

int run_program(int argc, char** argv, const std::function<int(int, char**)>& body) {
  hold_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  return check_standard_output(run_body(argc, argv, body));
}

}  // namespace maskwatch::apps
