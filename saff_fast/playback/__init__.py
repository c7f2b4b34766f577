"""Looking at what was learnt: any camera, any time, every modality; videos, camera paths and exports of them."""
