// Stands in for video_window.cc where the project is built without SDL2.
#include "vision/window/video_window.h"

#include <stdexcept>

namespace maskwatch::vision {

class SdlWindow {};
struct VideoWindow::Texture {};

VideoWindow::VideoWindow(const std::string&) {
  throw std::runtime_error("this program was built without SDL2 and cannot open a window");
}
VideoWindow::~VideoWindow() = default;
void VideoWindow::set_up(const std::string&, int, int) {}
void VideoWindow::show(const Image&) {}
void VideoWindow::toggle_full_screen() {}
std::vector<WindowKey> VideoWindow::poll() { return {}; }

}  // namespace maskwatch::vision
