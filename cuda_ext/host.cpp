// The host build of every op.
#include "common/export.h"
#include "common/launch.h"
#include "ops/render_weights.inc"
