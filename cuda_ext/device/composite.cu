#include "../ops/composite.inc"
