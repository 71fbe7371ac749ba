#include "apps/live/alert.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

extern char** environ;

namespace maskwatch::apps {
namespace {

constexpr std::size_t kMostRunning = 16;
constexpr std::size_t kMostTold = 1000;

bool is_program(const std::filesystem::path& path) {
  std::error_code none;
  return std::filesystem::is_regular_file(path, none) && access(path.c_str(), X_OK) == 0;
}

// As execvp finds it.
bool can_be_found(const std::string& program) {
  if (program.find('/') != std::string::npos) return is_program(program);
  const char* path = std::getenv("PATH");
  std::string folders = path != nullptr ? path : "/usr/bin:/bin";
  for (std::size_t at = 0; at <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    if (is_program(std::filesystem::path(folders.substr(at, end - at)) / program)) return true;
    at = end + 1;
  }
  return false;
}

// Seconds; time during which the source was lost does not count.
double labelled_for(const vision::Track& track) { return track.last_seen - track.label_since; }

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

// A child that inherits nothing but standard error: it has a session of its own, so that neither
// Ctrl-C nor a closed terminal reaches it, and the default handling of all signals.
int spawn(std::vector<std::string> words, std::vector<std::string> environment, pid_t& child) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 2, 1);
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
#endif
#endif
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  const int fault = posix_spawnp(&child, words[0].c_str(), &files, &attributes,
                                 pointers(words).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return fault;
}

}  // namespace

std::vector<std::string> command_words(const std::string& line) {
  std::vector<std::string> words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
      word += line[++i];
      inside = true;
    } else if (quote != 0 ? c == quote : c == '\'' || c == '"') {
      quote = quote != 0 ? '\0' : c;
      inside = true;
    } else if (quote == 0 && (c == ' ' || c == '\t' || c == '\n')) {
      if (inside) words.push_back(std::exchange(word, {}));
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (quote != 0) throw std::invalid_argument("--alert: a quote is not closed in: " + line);
  if (inside) words.push_back(word);
  if (words.empty() || words[0].empty())
    throw std::invalid_argument("--alert: there is no command");
  return words;
}

Alert::Alert(const std::string& command, double after, std::vector<std::string> labels,
             std::vector<vision::LabelMeaning> meanings, std::string source, bool worn_wrongly)
    : words_(command_words(command)),
      after_(after),
      labels_(std::move(labels)),
      meanings_(std::move(meanings)),
      source_(std::move(source)),
      worn_wrongly_(worn_wrongly) {
  if (!can_be_found(words_[0]))
    throw std::runtime_error("--alert: there is no program \"" + words_[0] +
                             "\" (the command does not run in a shell; for that, use sh -c '...')");
}

std::string Alert::look(const std::vector<vision::Track>& tracks, double time) {
  bury();
  for (const vision::Track& track : tracks) {
    if (!concerns(track) || told_.contains(track.number)) continue;
    if (labelled_for(track) < after_ || running_.size() >= kMostRunning) continue;
    told_.insert(track.number);
    if (told_.size() > kMostTold) forget_one(tracks);
    if (std::string fault = run(track, time); !fault.empty()) return fault;
  }
  return "";
}

bool Alert::concerns(const vision::Track& track) const {
  if (track.label < 0) return false;
  const auto meaning = meanings_[static_cast<std::size_t>(track.label)];
  return meaning == vision::LabelMeaning::no_mask ||
         (worn_wrongly_ && meaning == vision::LabelMeaning::worn_wrongly);
}

// The oldest of those who have left.
void Alert::forget_one(const std::vector<vision::Track>& tracks) {
  const auto gone = [&](std::int64_t number) {
    return std::none_of(tracks.begin(), tracks.end(),
                        [&](const vision::Track& track) { return track.number == number; });
  };
  if (const auto oldest = std::find_if(told_.begin(), told_.end(), gone); oldest != told_.end())
    told_.erase(oldest);
}

std::string Alert::run(const vision::Track& track, double time) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::strncmp(*entry, "MASKWATCH_", 10) != 0) environment.emplace_back(*entry);
  const auto add = [&](const char* name, const std::string& value) {
    environment.push_back(fmt::format("MASKWATCH_{}={}", name, value));
  };
  add("TRACK", std::to_string(track.number));
  add("LABEL", labels_[static_cast<std::size_t>(track.label)]);
  add("CONFIDENCE", fmt::format("{:.3f}", track.confidence));
  add("SECONDS", fmt::format("{:.1f}", labelled_for(track)));
  add("TIME", fmt::format("{:.3f}", time));
  add("BOX", fmt::format("{:.0f} {:.0f} {:.0f} {:.0f}", track.box.x, track.box.y, track.box.width,
                         track.box.height));
  add("SOURCE", source_);
  pid_t child = 0;
  if (const int fault = spawn(words_, std::move(environment), child))
    return "the alert command cannot be run: " + words_[0] + ": " + std::strerror(fault);
  running_.push_back(child);
  ++runs_;
  return "";
}

void Alert::bury() {
  std::erase_if(running_, [](pid_t child) { return waitpid(child, nullptr, WNOHANG) != 0; });
}

}  // namespace maskwatch::apps
