#include "../ops/directional.inc"
