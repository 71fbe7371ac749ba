// The frame that every program runs in: errors become one line and an exit code.
// 0: done. 2: wrong usage or input (arguments, files). 1: a failure at work.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace maskwatch::apps {

enum ExitCode { done = 0, failure = 1, bad_input = 2 };

// The user can mend it: a wrong argument, a missing or broken file. what() is "message (hint)".
class UsageError : public std::runtime_error {
 public:
  explicit UsageError(const std::string& message, const std::string& hint = "");
};

// Thrown when the command line asked for no more than --help or --version, which is printed.
struct CommandDone {};

// Runs `body` and returns the exit code for main. An exception becomes one line `error: ...` on
// standard error:
//   UsageError, std::runtime_error (what the library says of a file), std::invalid_argument -> 2
//   WriteError (base/file.h), Unavailable (base/unavailable.h)                              -> 1
//   std::domain_error (numbers that are no longer finite)                                  -> 1
//   std::bad_alloc, anything else, standard output that cannot be written                  -> 1
// CommandDone is not an error: 0. Standard streams that are closed stay so, but no file that is
// opened takes their place.
//   RankFault (kernels/communicator.h)                                      -> what it asks for
// SIGPIPE is ignored, so that a reader who leaves (`| head`) does not end a training run: what is
// written after that is lost, which is not an error.
int run_program(int argc, char** argv, const std::function<int(int, char**)>& body);

// Lines come out as they are written, even into a pipe: whoever kills a long run has seen what it
// said. Before anything is printed.
void print_lines_at_once();

// --- Its parts, for ranks.h ---

// How a program ended: the exit code, and what is wrong if anything is.
struct Outcome {
  int code = done;
  std::string fault;
};

// Before anything else: standard streams and SIGPIPE.
void begin_program();
Outcome outcome_of(const std::function<int()>& body);
// Prints the fault, if there is one, and looks whether standard output was written. Returns the
// exit code.
int end_program(const Outcome& outcome);

// Prints one_line(text) to standard error. If that cannot be written there is nobody to tell.
void tell_line(const std::string& text);

// The same with `note: ...`.
void tell(const std::string& note);

// The same with `error: ...`, of a failure that does not end the program: its exit code tells too.
void tell_fault(const std::string& fault);

// The same with `warning: ...`: an option cannot act, or something was understood in part.
void warn(const std::string& warning);

// printable() (base/printable.h) without spaces at the end: a name can neither break the line nor
// reach the terminal's control sequences.
std::string one_line(const std::string& text);

}  // namespace maskwatch::apps
