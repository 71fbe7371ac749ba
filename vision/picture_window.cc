#include "vision/picture_window.h"

#include <SDL.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace vision {
namespace {

constexpr int kLargestWidth = 1280, kLargestHeight = 960;

using Texture = std::unique_ptr<SDL_Texture, void (*)(SDL_Texture*)>;

Texture make_texture(SDL_Renderer* renderer, const Image& image) {
  Texture texture(SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGB24, SDL_TEXTUREACCESS_STATIC,
                                    image.width, image.height),
                  SDL_DestroyTexture);
  if (!texture ||
      SDL_UpdateTexture(texture.get(), nullptr, image.pixels.data(), 3 * image.width) != 0)
    throw std::runtime_error(std::string("cannot show the picture: ") + SDL_GetError());
  return texture;
}

// The largest rectangle of the picture's proportions inside the window.
SDL_Rect fit(const Image& image, int width, int height) {
  const double scale = std::min(static_cast<double>(width) / image.width,
                                static_cast<double>(height) / image.height);
  const int w = std::max(1, static_cast<int>(image.width * scale));
  const int h = std::max(1, static_cast<int>(image.height * scale));
  return {(width - w) / 2, (height - h) / 2, w, h};
}

void draw(SDL_Renderer* renderer, SDL_Texture* texture, const Image& image) {
  int width = 0, height = 0;
  SDL_GetRendererOutputSize(renderer, &width, &height);
  const SDL_Rect place = fit(image, width, height);
  SDL_SetRenderDrawColor(renderer, 0, 0, 0, 255);
  SDL_RenderClear(renderer);
  SDL_RenderCopy(renderer, texture, nullptr, &place);
  SDL_RenderPresent(renderer);
}

// Without a display SDL would find itself one that nobody sees.
bool display_is_there() {
  for (const char* variable : {"DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"})
    if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') return true;
  return false;
}

}  // namespace

PictureWindow::PictureWindow(const std::string& title) {
  if (!display_is_there())
    throw std::runtime_error(
        "no window can be opened: there is no display (neither DISPLAY nor WAYLAND_DISPLAY is "
        "set)");
  // Who stops the program by a signal stops it; no event is made of that.
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
}

PictureWindow::~PictureWindow() {
  if (renderer_ == nullptr) return;
  SDL_DestroyRenderer(renderer_);
  SDL_DestroyWindow(window_);
  SDL_Quit();
}

bool PictureWindow::show(const Image& image) {
  const SDL_Rect size = image.width <= kLargestWidth && image.height <= kLargestHeight
                            ? SDL_Rect{0, 0, image.width, image.height}
                            : fit(image, kLargestWidth, kLargestHeight);
  SDL_SetWindowSize(window_, size.w, size.h);
  SDL_ShowWindow(window_);
  const Texture texture = make_texture(renderer_, image);
  draw(renderer_, texture.get(), image);
  SDL_Event event;
  while (SDL_WaitEvent(&event) != 0) {
    if (event.type == SDL_QUIT) return false;
    if (event.type == SDL_KEYDOWN && event.key.repeat == 0) {
      const SDL_Keycode key = event.key.keysym.sym;
      return key != SDLK_q && key != SDLK_ESCAPE;
    }
    if (event.type == SDL_WINDOWEVENT) draw(renderer_, texture.get(), image);
  }
  throw std::runtime_error(std::string("the window failed: ") + SDL_GetError());
}

}  // namespace vision
