#include "../ops/render_weights.inc"
