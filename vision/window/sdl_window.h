// What the windows have in common: one SDL window with its renderer. Only for files that are built
// where SDL2 is.
#pragma once

#include <SDL.h>

#include <string>

namespace maskwatch::vision {

class SdlWindow {
 public:
  // Hidden until shown. std::runtime_error that says why no window can be opened.
  explicit SdlWindow(const std::string& title);
  ~SdlWindow();
  SdlWindow(const SdlWindow&) = delete;
  SdlWindow& operator=(const SdlWindow&) = delete;

  SDL_Window* window() const { return window_; }
  SDL_Renderer* renderer() const { return renderer_; }

  // Shows a texture of width x height pixels as large as it fits, its proportions kept.
  void present(SDL_Texture* texture, int width, int height) const;

  // Unavailable if the display is lost, or the window with it.
  void require_display() const;
  // Unavailable, with what SDL says.
  [[noreturn]] void fail() const;

 private:
  SDL_Window* window_ = nullptr;
  SDL_Renderer* renderer_ = nullptr;
};

// The largest rectangle of the proportions of width x height inside a frame.
SDL_Rect fit_into(int width, int height, int frame_width, int frame_height);

}  // namespace maskwatch::vision
