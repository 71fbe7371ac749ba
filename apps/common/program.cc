#include "apps/common/program.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>
#include <system_error>

#include "base/file.h"
#include "base/printable.h"
#include "base/unavailable.h"
#include "kernels/communicator.h"

namespace maskwatch::apps {
namespace {

std::string with_hint(const std::string& message, const std::string& hint) {
  return hint.empty() ? message : message + " (" + hint + ")";
}

int report(int code, const std::string& message) {
  tell_fault(message);
  return code;
}

// Whoever starts a program with a standard stream closed lets the next file take its number, and
// messages would be written into that file. So the number is taken, by what can be neither read nor
// written: the stream stays as good as closed.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(stream, F_GETFD) < 0)
      open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the least number is taken
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
  std::string line = printable(text);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

void tell_line(const std::string& text) {
  const std::string line = one_line(text) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void tell(const std::string& note) { tell_line("note: " + note); }

void tell_fault(const std::string& fault) {
  std::fflush(stdout);
  tell_line("error: " + fault);
}

void warn(const std::string& warning) { tell_line("warning: " + warning); }

void begin_program() {
  hold_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
}

Outcome outcome_of(const std::function<int()>& body) {
  try {
    return {body(), ""};
  } catch (const CommandDone&) {
    return {};
  } catch (const std::invalid_argument& error) {
    return {bad_input, error.what()};
  } catch (const WriteError& error) {
    return {failure, error.what()};
  } catch (const Unavailable& error) {
    return {failure, error.what()};
  } catch (const kernels::RankFault& error) {
    return {error.code(), error.what()};
  } catch (const std::system_error& error) {  // of fmt::print, for what is longer than a buffer
    if (error.code() == std::errc::broken_pipe && reader_left()) return {};
    return {failure, error.what()};
  } catch (const std::runtime_error& error) {
    return {bad_input, error.what()};
  } catch (const std::domain_error& error) {
    return {failure, error.what()};
  } catch (const std::bad_alloc&) {
    return {failure, "not enough memory"};
  } catch (const std::exception& error) {
    return {failure, std::string("internal: ") + error.what()};
  } catch (...) {
    return {failure, "internal: an exception of unknown type"};
  }
}

int end_program(const Outcome& outcome) {
  if (!outcome.fault.empty()) report(outcome.code, outcome.fault);
  return check_standard_output(outcome.code);
}

void print_lines_at_once() { std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ); }

int run_program(int argc, char** argv, const std::function<int(int, char**)>& body) {
  begin_program();
  return end_program(outcome_of([&] { return body(argc, argv); }));
}

}  // namespace maskwatch::apps
