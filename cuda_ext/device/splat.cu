#include "../ops/splat.inc"
