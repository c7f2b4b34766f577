#include "../ops/distortion.inc"
