/* The C interface as a C program uses it: the whole picture is the face, so that what is found is
 * known. Run from the project's root. */
#include "include/maskwatch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                          \
  do {                                                                            \
    if (!(condition)) {                                                           \
      fprintf(stderr, "%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, \
              maskwatch_error());                                                 \
      exit(1);                                                                    \
    }                                                                             \
  } while (0)

#define MODEL "data/models/mask_detector.safetensors"

/* A picture of 4 x 3 pixels as a BMP file: header, then rows of B, G, R from the bottom. */
static size_t write_bmp(uint8_t* out, const uint8_t* rgb) {
  const int width = 4, height = 3;
  const uint8_t header[54] = {'B', 'M', 90, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0,
                              4,   0,   0,  0, 3, 0, 0, 0, 1, 0, 24, 0, 0, 0, 0,  0, 36};
  int x, y, c;
  memcpy(out, header, sizeof header);
  for (y = 0; y < height; ++y)
    for (x = 0; x < width; ++x)
      for (c = 0; c < 3; ++c)
        out[54 + (height - 1 - y) * 12 + 3 * x + c] = rgb[(y * width + x) * 3 + 2 - c];
  return 90;
}

static void* read_all(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  void* bytes;
  CHECK(file != NULL);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  bytes = malloc(*size);
  CHECK(bytes != NULL && fread(bytes, 1, *size, file) == *size);
  fclose(file);
  return bytes;
}

static maskwatch_options whole_picture(void) {
  maskwatch_options options = maskwatch_default_options();
  options.model = MODEL;
  options.face_detector = "none";
  return options;
}

static void test_detection(maskwatch_detector* detector) {
  uint8_t rgb[36], padded[3 * 16], bmp[90];
  const maskwatch_face* faces = NULL;
  size_t count = 0, i, labels = maskwatch_label_count(detector);
  float sum = 0, probability;
  int y;
  for (i = 0; i < sizeof rgb; ++i) rgb[i] = (uint8_t)(i * 7);
  CHECK(maskwatch_detect_rgb(detector, rgb, 4, 3, 12, &faces, &count) == MASKWATCH_OK);
  CHECK(count == 1);
  CHECK(faces[0].x == 0 && faces[0].y == 0 && faces[0].width == 4 && faces[0].height == 3);
  CHECK(faces[0].score == 1);
  for (i = 0; i < labels; ++i) {
    sum += faces[0].probabilities[i];
    CHECK(faces[0].probabilities[i] <= faces[0].probability);
  }
  CHECK(fabs(sum - 1) < 1e-4);
  CHECK(faces[0].probabilities[faces[0].label] == faces[0].probability);
  CHECK(strcmp(faces[0].label_name, maskwatch_label(detector, (size_t)faces[0].label)) == 0);
  CHECK(faces[0].meaning == MASKWATCH_MASK || faces[0].meaning == MASKWATCH_NO_MASK);
  probability = faces[0].probability;

  /* Rows that do not touch, and a file, are the same picture. */
  memset(padded, 255, sizeof padded);
  for (y = 0; y < 3; ++y) memcpy(padded + 16 * y, rgb + 12 * y, 12);
  CHECK(maskwatch_detect_rgb(detector, padded, 4, 3, 16, &faces, &count) == MASKWATCH_OK);
  CHECK(count == 1 && faces[0].probability == probability);
  CHECK(maskwatch_detect_file(detector, bmp, write_bmp(bmp, rgb), &faces, &count) == MASKWATCH_OK);
  CHECK(count == 1 && faces[0].probability == probability);
}

static void test_faults(maskwatch_detector* detector) {
  const uint8_t rgb[3] = {1, 2, 3};
  const maskwatch_face* faces = NULL;
  size_t count = 77;
  CHECK(maskwatch_detect_rgb(detector, NULL, 1, 1, 3, &faces, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(strstr(maskwatch_error(), "null pointer") != NULL);
  CHECK(maskwatch_detect_rgb(NULL, rgb, 1, 1, 3, &faces, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(maskwatch_detect_rgb(detector, rgb, 0, 1, 3, &faces, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(strstr(maskwatch_error(), "empty image") != NULL);
  CHECK(maskwatch_detect_rgb(detector, rgb, 1, 1, 2, &faces, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(strstr(maskwatch_error(), "stride") != NULL);
  CHECK(maskwatch_detect_rgb(detector, rgb, 1, 1, 3, NULL, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(maskwatch_detect_file(detector, rgb, 3, &faces, &count) == MASKWATCH_BAD_FILE);
  CHECK(maskwatch_detect_file(detector, NULL, 3, &faces, &count) == MASKWATCH_BAD_ARGUMENT);
  CHECK(faces == NULL && count == 77);
}

static void test_opening(void) {
  maskwatch_options options = whole_picture();
  maskwatch_detector* detector;
  size_t size;
  void* model = read_all(MODEL, &size);
  options.model = "lost.safetensors";
  CHECK(maskwatch_open(&options) == NULL);
  CHECK(strstr(maskwatch_error(), "lost.safetensors") != NULL);
  options.model_bytes = model;
  options.model_size = size;
  detector = maskwatch_open(&options);
  CHECK(detector != NULL);
  CHECK(maskwatch_label_count(detector) >= 2);
  maskwatch_close(detector);
  options.model_size = size / 2;
  CHECK(maskwatch_open(&options) == NULL);
  options.model_size = 0;
  CHECK(maskwatch_open(&options) == NULL);
  free(model);
  options = whole_picture();
  options.face_detector = "magic";
  CHECK(maskwatch_open(&options) == NULL);
  CHECK(strstr(maskwatch_error(), "is not a face detector") != NULL);
  options = whole_picture();
  options.confidence = 2;
  CHECK(maskwatch_open(&options) == NULL);
  options = whole_picture();
  options.device = "gpu";
  CHECK(maskwatch_open(&options) == NULL);
  CHECK(strstr(maskwatch_error(), "no device \"gpu\"") != NULL);
  options.device = "cuda:99";
  CHECK(maskwatch_open(&options) == NULL);
  CHECK(strstr(maskwatch_error(), "cuda:99") != NULL);
  maskwatch_close(NULL);
}

int main(void) {
  maskwatch_options options = whole_picture();
  maskwatch_detector* detector;
  CHECK(strcmp(maskwatch_error(), "") == 0);
  CHECK(strchr(maskwatch_version(), '.') != NULL);
  detector = maskwatch_open(&options);
  CHECK(detector != NULL);
  CHECK(maskwatch_label_count(detector) >= 2);
  CHECK(maskwatch_label(detector, 0) != NULL);
  CHECK(maskwatch_label(detector, maskwatch_label_count(detector)) == NULL);
  CHECK(maskwatch_label(NULL, 0) == NULL);
  CHECK(strcmp(maskwatch_device(detector), "cpu") == 0);
  CHECK(strcmp(maskwatch_device(NULL), "") == 0);
  test_detection(detector);
  test_faults(detector);
  maskwatch_close(detector);
  test_opening();
  return 0;
}
