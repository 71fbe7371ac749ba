// Stands in for picture_window.cc where the project is built without SDL2.
#include <stdexcept>

#include "vision/window/picture_window.h"

namespace maskwatch::vision {

class SdlWindow {};

PictureWindow::PictureWindow(const std::string&) {
  throw std::runtime_error("this program was built without SDL2 and cannot open a window");
}
PictureWindow::~PictureWindow() = default;
bool PictureWindow::show(const Image&) { return false; }

}  // namespace maskwatch::vision
