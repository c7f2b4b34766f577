#include "../ops/lazy_adam.inc"
