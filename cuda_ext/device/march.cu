#include "../ops/march.inc"
