#include "vision/window/sdl_window.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/unavailable.h"
#include "vision/window/x11_faults.h"

namespace maskwatch::vision {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// What SDL may open a window with. Left to itself, where no display answers, it chooses a driver
// whose window nobody sees.
void choose_display() {
  if (is_set("SDL_VIDEODRIVER")) return;
  const bool x11 = is_set("DISPLAY"), wayland = is_set("WAYLAND_DISPLAY");
  if (!x11 && !wayland)
    throw std::runtime_error(
        "no window can be opened: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is "
        "set)");
  SDL_SetHint(SDL_HINT_VIDEODRIVER, x11 && wayland ? "x11,wayland" : x11 ? "x11" : "wayland");
}

}  // namespace

SdlWindow::SdlWindow(const std::string& title) {
  choose_display();
  // A signal stops the program directly; SDL must not turn it into an event.
  SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
  SDL_SetHint(SDL_HINT_RENDER_SCALE_QUALITY, "linear");
  if (SDL_Init(SDL_INIT_VIDEO) != 0)
    throw std::runtime_error(std::string("no window can be opened: ") + SDL_GetError());
  window_ = SDL_CreateWindow(title.c_str(), SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, 640,
                             480, SDL_WINDOW_RESIZABLE | SDL_WINDOW_HIDDEN);
  if (window_ != nullptr) renderer_ = SDL_CreateRenderer(window_, -1, 0);
  if (renderer_ == nullptr) {
    const std::string reason = SDL_GetError();
    if (window_ != nullptr) SDL_DestroyWindow(window_);
    SDL_Quit();
    throw std::runtime_error("no window can be opened: " + reason);
  }
  keep_x11_faults(window_);
}

SdlWindow::~SdlWindow() {
  if (x11_fault() != nullptr) return;
  SDL_DestroyRenderer(renderer_);
  SDL_DestroyWindow(window_);
  SDL_Quit();
}

void SdlWindow::present(SDL_Texture* texture, int width, int height) const {
  int frame_width = 0, frame_height = 0;
  SDL_GetRendererOutputSize(renderer_, &frame_width, &frame_height);
  const SDL_Rect place = fit_into(width, height, frame_width, frame_height);
  SDL_SetRenderDrawColor(renderer_, 0, 0, 0, 255);
  SDL_RenderClear(renderer_);
  SDL_RenderCopy(renderer_, texture, nullptr, &place);
  SDL_RenderPresent(renderer_);
}

void SdlWindow::require_display() const {
  if (const char* fault = x11_fault())
    throw Unavailable(std::string("the window failed: ") + fault);
}

void SdlWindow::fail() const {
  require_display();
  throw Unavailable(std::string("the window failed: ") + SDL_GetError());
}

SDL_Rect fit_into(int width, int height, int frame_width, int frame_height) {
  const double scale = std::min(static_cast<double>(frame_width) / width,
                                static_cast<double>(frame_height) / height);
  const int w = std::max(1, static_cast<int>(width * scale));
  const int h = std::max(1, static_cast<int>(height * scale));
  return {(frame_width - w) / 2, (frame_height - h) / 2, w, h};
}

}  // namespace maskwatch::vision
