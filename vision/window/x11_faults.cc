#include "vision/window/x11_faults.h"

#if __has_include(<X11/Xlib.h>)

#include <SDL_syswm.h>
#include <dlfcn.h>

#include <atomic>

namespace maskwatch::vision {
namespace {

std::atomic<const char*> fault{nullptr};

void keep(const char* what) {
  const char* none = nullptr;
  fault.compare_exchange_strong(none, what);
  SDL_Event event{};
  event.type = SDL_USEREVENT;
  SDL_PushEvent(&event);
}

int lose_display(Display*) {
  keep("its display is gone");
  return 0;
}

void go_on(Display*, void*) {}

int lose_window(Display*, XErrorEvent* error) {
  const bool destroyed = error->error_code == BadWindow || error->error_code == BadDrawable;
  keep(destroyed ? "another program destroyed it" : "the X server refused a request");
  return 0;
}

// SDL may have loaded the library for itself alone.
template <typename Function>
Function* find(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

void keep_x11_faults(SDL_Window* window) {
  SDL_SysWMinfo info;
  SDL_VERSION(&info.version);
  if (SDL_GetWindowWMInfo(window, &info) == SDL_FALSE || info.subsystem != SDL_SYSWM_X11) return;
  void* const library = dlopen("libX11.so.6", RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return;
  const auto set_exit = find<decltype(XSetIOErrorExitHandler)>(library, "XSetIOErrorExitHandler");
  const auto set_lost = find<decltype(XSetIOErrorHandler)>(library, "XSetIOErrorHandler");
  const auto set_error = find<decltype(XSetErrorHandler)>(library, "XSetErrorHandler");
  if (set_error != nullptr) set_error(lose_window);
  if (set_exit == nullptr || set_lost == nullptr) return;  // libX11 before 1.7 always ends
  set_lost(lose_display);
  set_exit(info.info.x11.display, go_on, nullptr);
}

const char* x11_fault() { return fault; }

}  // namespace maskwatch::vision

#else

namespace maskwatch::vision {

void keep_x11_faults(SDL_Window*) {}
const char* x11_fault() { return nullptr; }

}  // namespace maskwatch::vision

#endif
