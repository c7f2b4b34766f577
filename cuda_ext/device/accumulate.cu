#include "../ops/accumulate.inc"
