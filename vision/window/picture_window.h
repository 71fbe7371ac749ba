// A window that shows pictures one after the other, for programs with a --show option.
#pragma once

#include <memory>
#include <string>

#include "vision/image/image.h"

namespace maskwatch::vision {

class SdlWindow;

class PictureWindow {
 public:
  // std::runtime_error that says why no window can be opened: built without SDL2, or no display.
  explicit PictureWindow(const std::string& title);
  ~PictureWindow();
  PictureWindow(const PictureWindow&) = delete;
  PictureWindow& operator=(const PictureWindow&) = delete;

  // Shows an RGB picture, scaled to the window with its proportions kept, until a key is pressed.
  // False when the user wants no more of them: q, Escape, or the window closed.
  // std::invalid_argument for a picture that is empty or not RGB, Unavailable
  // (base/unavailable.h) if the display is lost.
  bool show(const Image& image);

 private:
  std::unique_ptr<SdlWindow> window_;
};

}  // namespace maskwatch::vision
