#include "vision/window/video_window.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "vision/window/sdl_window.h"
#include "vision/window/x11_faults.h"

namespace maskwatch::vision {

struct VideoWindow::Texture {
  SDL_Texture* handle = nullptr;
  int width = 0, height = 0;
  ~Texture() {
    if (handle != nullptr && x11_fault() == nullptr) SDL_DestroyTexture(handle);
  }
};

namespace {

std::optional<WindowKey> meaning(SDL_Keycode key) {
  switch (key) {
    case SDLK_q:
    case SDLK_ESCAPE:
      return WindowKey::quit;
    case SDLK_SPACE:
      return WindowKey::pause;
    case SDLK_s:
      return WindowKey::screenshot;
    case SDLK_r:
      return WindowKey::record;
    case SDLK_h:
      return WindowKey::help;
    case SDLK_p:
      return WindowKey::panel;
    case SDLK_d:
      return WindowKey::detector;
    case SDLK_PLUS:
    case SDLK_EQUALS:  // where + is typed with Shift
    case SDLK_KP_PLUS:
      return WindowKey::more;
    case SDLK_MINUS:
    case SDLK_KP_MINUS:
      return WindowKey::less;
    default:
      return std::nullopt;
  }
}

}  // namespace

VideoWindow::VideoWindow(const std::string& title)
    : window_(std::make_unique<SdlWindow>(title)), texture_(std::make_unique<Texture>()) {
  SDL_ShowWindow(window_->window());
}

void VideoWindow::set_up(const std::string& title, int width, int height) {
  SDL_Rect screen{0, 0, 1280, 960};
  SDL_GetDisplayUsableBounds(0, &screen);
  SDL_PumpEvents();  // among them what tells the frame's size
  int top = 0, left = 0, bottom = 0, right = 0;
  if (SDL_GetWindowBordersSize(window_->window(), &top, &left, &bottom, &right) == 0) {
    screen.w -= left + right;
    screen.h -= top + bottom;
  }
  const SDL_Rect size = width <= screen.w && height <= screen.h
                            ? SDL_Rect{0, 0, width, height}
                            : fit_into(width, height, screen.w, screen.h);
  SDL_SetWindowTitle(window_->window(), title.c_str());
  SDL_SetWindowSize(window_->window(), size.w, size.h);
  SDL_SetWindowPosition(window_->window(), SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED);
}

VideoWindow::~VideoWindow() = default;

void VideoWindow::show(const Image& image) {
  window_->require_display();
  if (image.empty() || image.channels != 3)
    throw std::invalid_argument("VideoWindow::show: an RGB picture is needed");
  if (texture_->width != image.width || texture_->height != image.height) {
    texture_ = std::make_unique<Texture>();
    texture_->handle = SDL_CreateTexture(window_->renderer(), SDL_PIXELFORMAT_RGB24,
                                         SDL_TEXTUREACCESS_STREAMING, image.width, image.height);
    if (texture_->handle == nullptr) window_->fail();
    texture_->width = image.width;
    texture_->height = image.height;
  }
  void* pixels = nullptr;
  int stride = 0;
  if (SDL_LockTexture(texture_->handle, nullptr, &pixels, &stride) != 0) window_->fail();
  for (int y = 0; y < image.height; ++y)
    std::memcpy(static_cast<char*>(pixels) + static_cast<std::ptrdiff_t>(y) * stride, image.row(y),
                static_cast<std::size_t>(image.width) * 3);
  SDL_UnlockTexture(texture_->handle);
  window_->present(texture_->handle, image.width, image.height);
}

void VideoWindow::toggle_full_screen() {
  const bool full = (SDL_GetWindowFlags(window_->window()) & SDL_WINDOW_FULLSCREEN_DESKTOP) != 0;
  SDL_SetWindowFullscreen(window_->window(), full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

std::vector<WindowKey> VideoWindow::poll() {
  std::vector<WindowKey> keys;
  SDL_Event event;
  while (SDL_PollEvent(&event) != 0) {
    window_->require_display();
    if (event.type == SDL_QUIT) keys.push_back(WindowKey::quit);
    if (event.type == SDL_WINDOWEVENT && texture_->handle != nullptr)
      window_->present(texture_->handle, texture_->width, texture_->height);
    if (event.type != SDL_KEYDOWN || event.key.repeat != 0) continue;
    const SDL_Keycode key = event.key.keysym.sym;
    if (key == SDLK_f || key == SDLK_F11) toggle_full_screen();
    if (const auto known = meaning(key)) keys.push_back(*known);
  }
  return keys;
}

}  // namespace maskwatch::vision
