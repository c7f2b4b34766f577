"""Compiled operations, one module an op; `reference.py` defines each of them in plain torch."""

from saff_fast.ops.accumulate import accumulate as accumulate
from saff_fast.ops.composite import FIRST_CHANNEL as FIRST_CHANNEL
from saff_fast.ops.composite import Composited as Composited
from saff_fast.ops.composite import Emission as Emission
from saff_fast.ops.composite import composite as composite
from saff_fast.ops.composite import composite_joint as composite_joint
from saff_fast.ops.directional import directional as directional
from saff_fast.ops.distortion import distortion as distortion
from saff_fast.ops.flow_sample import FlowSamples as FlowSamples
from saff_fast.ops.flow_sample import OccupancySlices as OccupancySlices
from saff_fast.ops.flow_sample import flow_sample as flow_sample
from saff_fast.ops.hash_encode import HashGridLayout as HashGridLayout
from saff_fast.ops.hash_encode import hash_encode as hash_encode
from saff_fast.ops.lazy_adam import lazy_adam as lazy_adam
from saff_fast.ops.march import march as march
from saff_fast.ops.march import march_round as march_round
from saff_fast.ops.mlp import mlp as mlp
from saff_fast.ops.occupancy_bits import OccupancyBits as OccupancyBits
from saff_fast.ops.occupancy_bits import pack_bits as pack_bits
from saff_fast.ops.occupancy_bits import pack_occupancy as pack_occupancy
from saff_fast.ops.occupancy_bits import unpack_bits as unpack_bits
from saff_fast.ops.project_flow import project_flow as project_flow
from saff_fast.ops.splat import splat as splat
