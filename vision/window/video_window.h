// The window of a video player: pictures as fast as they come, and the keys that are pressed.
// Resizable, f or F11 for the full screen. For the program's main thread alone, as SDL demands.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vision/image/image.h"

namespace maskwatch::vision {

class SdlWindow;

enum class WindowKey {
  quit,        // q, Escape, or the window closed
  pause,       // space
  screenshot,  // s
  record,      // r
  help,        // h
  panel,       // p
  detector,    // d
  more,        // +
  less,        // -
};

class VideoWindow {
 public:
  // std::runtime_error that says why no window can be opened: built without SDL2, or no display.
  explicit VideoWindow(const std::string& title);
  ~VideoWindow();
  VideoWindow(const VideoWindow&) = delete;
  VideoWindow& operator=(const VideoWindow&) = delete;

  // Fits the window to pictures of width x height; it grows no larger than the screen.
  void set_up(const std::string& title, int width, int height);

  // An RGB picture of any size, as large as it fits. std::invalid_argument for one that is empty or
  // not RGB, Unavailable (base/unavailable.h) if the display is lost.
  void show(const Image& image);

  void toggle_full_screen();

  // The keys since the last call. Redraws the window where it was covered or resized.
  std::vector<WindowKey> poll();

 private:
  struct Texture;
  std::unique_ptr<SdlWindow> window_;
  std::unique_ptr<Texture> texture_;
};

}  // namespace maskwatch::vision
