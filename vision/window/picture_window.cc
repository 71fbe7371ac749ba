#include "vision/window/picture_window.h"

#include <memory>
#include <stdexcept>

#include "vision/window/sdl_window.h"
#include "vision/window/x11_faults.h"

namespace maskwatch::vision {
namespace {

constexpr int kLargestWidth = 1280, kLargestHeight = 960;

using Texture = std::unique_ptr<SDL_Texture, void (*)(SDL_Texture*)>;

Texture make_texture(SDL_Renderer* renderer, const Image& image) {
  Texture texture(SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGB24, SDL_TEXTUREACCESS_STATIC,
                                    image.width, image.height),
                  [](SDL_Texture* one) {
                    if (x11_fault() == nullptr) SDL_DestroyTexture(one);
                  });
  if (!texture ||
      SDL_UpdateTexture(texture.get(), nullptr, image.pixels.data(), 3 * image.width) != 0)
    throw std::runtime_error(std::string("cannot show the picture: ") + SDL_GetError());
  return texture;
}

}  // namespace

PictureWindow::PictureWindow(const std::string& title)
    : window_(std::make_unique<SdlWindow>(title)) {}

PictureWindow::~PictureWindow() = default;

bool PictureWindow::show(const Image& image) {
  if (image.empty() || image.channels != 3)
    throw std::invalid_argument("PictureWindow::show: an RGB picture is needed");
  const SDL_Rect size = image.width <= kLargestWidth && image.height <= kLargestHeight
                            ? SDL_Rect{0, 0, image.width, image.height}
                            : fit_into(image.width, image.height, kLargestWidth, kLargestHeight);
  SDL_SetWindowSize(window_->window(), size.w, size.h);
  SDL_ShowWindow(window_->window());
  const Texture texture = make_texture(window_->renderer(), image);
  window_->present(texture.get(), image.width, image.height);
  SDL_Event event;
  while (SDL_WaitEvent(&event) != 0) {
    window_->require_display();
    if (event.type == SDL_QUIT) return false;
    if (event.type == SDL_KEYDOWN && event.key.repeat == 0) {
      const SDL_Keycode key = event.key.keysym.sym;
      return key != SDLK_q && key != SDLK_ESCAPE;
    }
    if (event.type == SDL_WINDOWEVENT) window_->present(texture.get(), image.width, image.height);
  }
  window_->fail();
}

}  // namespace maskwatch::vision
