// What Xlib would end the program for at once: its X server goes, or somebody else destroys the
// window. Only for files that are built where SDL2 is.
#pragma once

#include <SDL.h>

namespace maskwatch::vision {

// From now on such faults are kept instead, and an event of no meaning wakes who waits for one.
// Does nothing for a window that is not X11's.
void keep_x11_faults(SDL_Window* window);

// The first fault; null: there was none. After one the window and its renderer must be left alone.
const char* x11_fault();

}  // namespace maskwatch::vision
