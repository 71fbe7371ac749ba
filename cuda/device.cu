#include "cuda/device.h"

#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>

#include "cuda/table.h"
#include "cuda/workspaces.h"

namespace maskwatch::cuda {
namespace {

// Says which of the build's kernels this GPU takes.
__global__ void probe() {}

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string device_name(int ordinal) { return "cuda:" + std::to_string(ordinal); }

void check(cudaError_t error, const std::string& where) {
  if (error != cudaSuccess) throw std::runtime_error(where + ": " + cudaGetErrorString(error));
}

// How many GPUs there are; std::runtime_error unless there are some.
int count_devices(const std::string& wanted) {
  int driver = 0, runtime = 0, count = 0;
  cudaRuntimeGetVersion(&runtime);
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    throw std::runtime_error(wanted + ": this machine has no NVIDIA driver");
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver)
    throw std::runtime_error(wanted + ": the NVIDIA driver is one for CUDA " + version(driver) +
                             ", this build needs " + version(runtime));
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
    throw std::runtime_error(wanted + ": the NVIDIA driver finds no GPU");
  check(error, wanted);
  return count;
}

class Graph : public kernels::Recorded {
 public:
  Graph(cudaGraph_t graph, cudaStream_t stream, std::string name)
      : stream_(stream), name_(std::move(name)) {
    const cudaError_t error = cudaGraphInstantiate(&ready_, graph, 0);
    cudaGraphDestroy(graph);
    check(error, name_ + ": a recording");
  }
  ~Graph() override { cudaGraphExecDestroy(ready_); }

  void run() override { check(cudaGraphLaunch(ready_, stream_), name_ + ": a recording"); }

 private:
  cudaGraphExec_t ready_ = nullptr;
  cudaStream_t stream_;
  std::string name_;
};

class CudaDevice : public kernels::Device {
 public:
  explicit CudaDevice(int ordinal) : ordinal_(ordinal), name_(device_name(ordinal)) {
    const int count = count_devices(name_);
    if (ordinal >= count)
      throw std::runtime_error(name_ + ": this machine has " +
                               (count == 1 ? "one GPU, cuda:0"
                                           : std::to_string(count) + " GPUs, cuda:0 to cuda:" +
                                                 std::to_string(count - 1)));
    check(cudaSetDevice(ordinal), name_);
    check(cudaGetDeviceProperties(&properties_, ordinal), name_);
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, probe);
    if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
        error == cudaErrorUnsupportedPtxVersion)
      throw std::runtime_error(name_ + " (" + properties_.name +
                               "): this build has no kernels for " + "compute capability " +
                               capability(".") + " (meson -Dgpu_architectures=" + capability("") +
                               ")");
    check(error, name_);
    // Code that was made for less than sm_80 has no tensor cores, wherever it runs.
    constexpr int first_with_tf32 = 80;
    has_tf32_ = attributes.ptxVersion >= first_with_tf32;
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), name_);
  }

  const std::string& name() const override { return name_; }
  const kernels::Table<float>& table() const override { return cuda::table(); }
  bool on_host() const override { return false; }

  void* allocate(std::size_t bytes) override;
  // Waits for the calls that use it. Whoever takes memory again and again keeps it (nn/memory.h).
  void release(void* memory) override { cudaFree(memory); }

  void copy_in(void* to, const void* host, std::size_t bytes) override {
    move(to, host, bytes, cudaMemcpyHostToDevice, ": a copy to the GPU");
  }
  void copy_out(void* host, const void* from, std::size_t bytes) override {
    move(host, from, bytes, cudaMemcpyDeviceToHost, ": a copy from the GPU");
    synchronize();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    move(to, from, bytes, cudaMemcpyDeviceToDevice, ": a copy");
  }
  void fill_zero(void* to, std::size_t bytes) override {
    if (bytes > 0) check(cudaMemsetAsync(to, 0, bytes, stream()), name_ + ": clearing memory");
  }
  void synchronize() override { check(cudaStreamSynchronize(stream()), name_); }

  std::shared_ptr<void> staging(std::size_t bytes) override {
    stream();
    void* memory = nullptr;
    check(cudaMallocHost(&memory, bytes > 0 ? bytes : 1), name_ + ": memory for copies");
    return {memory, cudaFreeHost};
  }
  std::unique_ptr<kernels::Recorded> record(const std::function<void()>& work) override;

  // The current device belongs to a thread of the host.
  cudaStream_t stream() {
    thread_local bool chosen = false;
    if (!chosen) check(cudaSetDevice(ordinal_), name_);
    chosen = true;
    return stream_;
  }
  bool has_tf32() const { return has_tf32_; }
  std::size_t most_shared_bytes() const { return properties_.sharedMemPerBlockOptin; }
  int multiprocessors() const { return properties_.multiProcessorCount; }

 private:
  std::string capability(const char* point) const {
    return std::to_string(properties_.major) + point + std::to_string(properties_.minor);
  }

  void move(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, const char* what) {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, stream()), name_ + what);
  }

  const int ordinal_;
  const std::string name_;
  cudaDeviceProp properties_;
  cudaStream_t stream_ = nullptr;
  bool has_tf32_ = false;
};

void* CudaDevice::allocate(std::size_t bytes) {
  stream();
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes > 0 ? bytes : 1);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it would be reported again by the next call
    return nullptr;
  }
  check(error, name_ + ": " + std::to_string(bytes) + " bytes of memory");
  return memory;
}

std::unique_ptr<kernels::Recorded> CudaDevice::record(const std::function<void()>& work) {
  const std::string what = name_ + ": a recording";
  // Relaxed: `work` may take memory.
  check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), what);
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream_, &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(stream_, &graph), what);
  return std::make_unique<Graph>(graph, stream_, name_);
}

CudaDevice* opened = nullptr;
bool tf32_allowed = [] {
  const char* wanted = std::getenv("MASKWATCH_TF32");
  return !wanted || std::string(wanted) != "0";
}();

CudaDevice& current() {
  if (!opened) throw std::logic_error("cuda: an operation before a device was opened");
  return *opened;
}

}  // namespace

kernels::Device& device(int ordinal) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (!opened) opened = new CudaDevice(ordinal);
  if (opened->name() != device_name(ordinal))
    throw std::runtime_error(device_name(ordinal) + ": this process works on " + opened->name() +
                             " already");
  return *opened;
}

cudaStream_t current_stream() { return current().stream(); }

void check_launch(cudaError_t error, const void* kernel) {
  if (error == cudaSuccess) return;
  const char* name = nullptr;
  cudaFuncGetName(&name, kernel);
  throw std::runtime_error(current().name() + ": kernel " + (name ? name : "?") + ": " +
                           cudaGetErrorString(error));
}

bool has_tf32() { return tf32_allowed && current().has_tf32(); }
void set_tf32(bool allowed) { tf32_allowed = allowed; }
std::size_t most_shared_bytes() { return current().most_shared_bytes(); }
int multiprocessors() { return current().multiprocessors(); }

float* workspace(Workspace area, std::int64_t floats) {
  static Workspaces workspaces(current());
  return workspaces.at(area, floats);
}

}  // namespace maskwatch::cuda
