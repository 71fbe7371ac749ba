// Maskwatch as one of the engines that bench/peers/run.py measures in turn: runs or trains one
// network on one batch and times itself when asked.
//
//   serve MODEL [--train [--memory-budget MIB]] [--batch 1] [--threads 1]
//
// Answers each line of its input with a line of JSON:
//   input FILE   takes [batch, size, size, 3] float32 from the file
//   output FILE  writes logits [batch, classes] float32 (of a training step: before the step)
//   run N        [milliseconds of each of N runs]
//   memory       bytes: of arenas and results, or the most that tensors held
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>

#include "apps/common/options.h"
#include "apps/common/program.h"
#include "base/parallel.h"
#include "nn/classifier.h"
#include "nn/memory.h"
#include "nn/ops/loss.h"
#include "nn/optimizer.h"

using namespace maskwatch;

namespace {

struct Options {
  std::string model;
  bool train = false;
  std::int64_t memory_budget = 0;  // MiB
  std::int64_t batch = 1;
  int threads = 1;
};

// What is served: both kinds of work.
struct Work {
  std::function<void()> run;
  std::function<nn::Tensor()> logits;
  std::function<std::int64_t()> memory;
};

Work inference(nn::Classifier& model, const nn::Tensor& input) {
  nn::Graph graph(model.input_shape());
  graph.output(model.trace(graph, graph.input()));
  auto plan = std::make_shared<nn::Plan>(nn::fuse_quantized(graph, model.options().quantization),
                                         input.dim(0));
  const auto run = [plan, input] { plan->run(input.data(), input.dim(0)); };
  const auto logits = [plan, run, input] {
    run();
    const std::int64_t classes = plan->output_shape().count();
    return nn::Tensor::from({input.dim(0), classes},
                            {plan->output(), plan->output() + input.dim(0) * classes});
  };
  return {run, logits, [plan] { return plan->held_bytes(); }};
}

Work training(nn::Classifier& model, const nn::Tensor& input) {
  const std::int64_t classes = static_cast<std::int64_t>(model.options().labels.size());
  const nn::Tensor targets = nn::Tensor::zeros({input.dim(0), classes});
  for (std::int64_t i = 0; i < input.dim(0); ++i) targets.data()[i * classes + i % classes] = 1;
  auto adam = std::make_shared<nn::Adam>(model.trainable_parameters(), nn::Adam::Options{});
  const auto step = [&model, input, targets, adam] {
    const nn::Tensor loss = nn::softmax_cross_entropy(model.forward(input), targets);
    adam->zero_grad();
    loss.backward();
    adam->step(1e-4);
  };
  return {step, [&model, input] { return model.forward(input).detach(); },
          [] { return static_cast<std::int64_t>(nn::memory_use().peak); }};
}

std::vector<double> timed(const std::function<void()>& run, int count) {
  std::vector<double> milliseconds;
  for (int i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double, std::milli> passed =
        std::chrono::steady_clock::now() - start;
    milliseconds.push_back(passed.count());
  }
  return milliseconds;
}

void read_numbers(const std::string& path, const nn::Tensor& to) {
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(to.data()),
                 to.count() * static_cast<std::int64_t>(sizeof(float))))
    throw std::runtime_error(path + ": cannot be read, or is too short for " +
                             nn::to_string(to.shape()));
}

void write_numbers(const std::string& path, const nn::Tensor& from) {
  std::ofstream file(path, std::ios::binary);
  if (!file.write(reinterpret_cast<const char*>(from.data()),
                  from.count() * static_cast<std::int64_t>(sizeof(float))))
    throw std::runtime_error(path + ": cannot be written");
}

std::string answer(const std::string& line, const nn::Tensor& input, const Work& work) {
  std::istringstream words(line);
  std::string verb, argument;
  words >> verb >> argument;
  if (verb == "run")
    return fmt::format("[{}]", fmt::join(timed(work.run, std::stoi(argument)), ", "));
  if (verb == "memory") return fmt::format("{}", work.memory());
  if (verb == "input")
    read_numbers(argument, input);
  else if (verb == "output")
    write_numbers(argument, work.logits());
  else
    throw std::runtime_error("unknown request: " + line);
  return "true";
}

void serve(const Options& options) {
  set_threads(options.threads);
  const auto model = nn::load_classifier(options.model);
  const auto& shape = model->input_shape();
  const nn::Tensor input =
      nn::Tensor::zeros({options.batch, shape.height, shape.width, shape.channels});
  if (options.train)
    model->train();
  else
    model->eval();
  if (options.memory_budget > 0)
    model->backbone().fit_memory(options.batch, 0, options.memory_budget << 20);
  const Work work = options.train ? training(*model, input) : inference(*model, input);
  std::cout << "\"ready\"" << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(line, input, work) << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  return apps::run_program(argc, argv, [](int count, char** words) {
    Options options;
    apps::OptionParser parser("serve",
                              "Runs or trains a network when asked; see the head of serve.cc");
    parser.add("model", &options.model).required();
    parser.add("--train", &options.train);
    parser.add("--memory-budget", &options.memory_budget).range(1, 1 << 24);
    parser.add("--batch", &options.batch).range(1, 1024);
    parser.add("--threads", &options.threads).range(1, 1024);
    parser.parse(count, words);
    serve(options);
    return 0;
  });
}
