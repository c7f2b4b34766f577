"""The published losses written straight down as dense tensors [rays, samples], from the method's specification.

Nothing of the package is used but the outputs of the two fields, which are asked in the unit cube, half as long as
normalised device coordinates: `(p + 1) / 2`. Cameras look along -z of a world with y up.
"""

import torch


def published_losses(model, targets, jitter, config, phase, draws, n_samples):
    """Unweighted losses by name; `draws` is the noise [rays, samples] of the five composites."""
    n_frames, k = model.n_frames, targets.frames
    start, span = ndc_rays(model, k, targets.pixels)
    u = torch.linspace(0, 1, n_samples, dtype=torch.float64).expand(len(k), -1)
    middles = (u[:, 1:] + u[:, :-1]) / 2
    lower, upper = torch.cat([u[:, :1], middles], 1), torch.cat([middles, u[:, -1:]], 1)
    s = lower + (upper - lower) * jitter
    points = start[:, None] + s[:, :, None] * span[:, None]
    deltas = torch.cat([s[:, 1:] - s[:, :-1], torch.full_like(s[:, :1], 1e10)], 1) * span.norm(dim=1, keepdim=True)
    views = unit_directions(model, k, targets.pixels)[:, None].expand_as(points)

    def ask(field, points, *frames):
        flat = [((points + 1) / 2).reshape(-1, 3), views.reshape(-1, 3), *(f.reshape(-1) for f in frames)]
        outputs = {name: value.unflatten(0, s.shape) for name, value in vars(field(*flat)).items()}
        outputs["sigmas"] = outputs["sigmas"] / 2
        return {name: value * 2 if "flows" in name else value for name, value in outputs.items()}

    def time(step):
        frames = (k + step)[:, None].expand_as(s).double()
        return frames if config.literal else frames.clamp(0, n_frames - 1)

    def exists(step):
        inside = (k + step >= 0) & (k + step < n_frames)
        return (inside | config.literal).double()

    static, dynamic = ask(model.field.static, points), ask(model.field.dynamic, points, time(0))
    p_post, p_prev = points + dynamic["flows_fw"], points + dynamic["flows_bw"]
    post, prev = ask(model.field.dynamic, p_post, time(1)), ask(model.field.dynamic, p_prev, time(-1))
    forwards = phase.direction > 0
    p_near = p_post if forwards else p_prev
    p_far = p_near + (post["flows_fw"] if forwards else prev["flows_bw"])

    def opacities(field, draw):
        return 1 - torch.exp(-torch.relu(field["sigmas"] + draw) * deltas)

    def exclusive(factors):
        return torch.cumprod(torch.cat([torch.ones_like(factors[:, :1]), factors[:, :-1]], 1), 1)

    def alone(field, draw):
        a = opacities(field, draw)
        return exclusive(1 - a + 1e-10) * a

    v = static["blends"]
    alpha_d, alpha_s = v * opacities(dynamic, draws[0]), (1 - v) * opacities(static, draws[0])
    trans = exclusive((1 - alpha_d) * (1 - alpha_s) + 1e-10)
    w_d, w_s = trans * alpha_d, trans * alpha_s
    w_dy, w_post, w_prev = alone(dynamic, draws[1]), alone(post, draws[2]), alone(prev, draws[3])
    m_d = w_d.sum(1).detach()
    m_post = (w_post.detach() * (1 - dynamic["occlusions_fw"])).sum(1) * exists(1)
    m_prev = (w_prev.detach() * (1 - dynamic["occlusions_bw"])).sum(1) * exists(-1)
    where = m_d if phase.masked else torch.ones_like(m_d)
    losses = {}
    for name, head, target in (
        ("render_loss", "rgbs", targets.rgb),
        ("render_loss_dino", "hiddens", targets.semantic),
        ("render_loss_sal", "saliencies", targets.saliency[:, None]),
    ):

        def render(*parts, head=head):
            return sum((w[:, :, None] * field[head].reshape(*s.shape, -1)).sum(1) for w, field in parts)

        losses[name] = (
            (render((w_d, dynamic), (w_s, static)) - target).square().mean()
            + masked_mse(render((w_dy, dynamic)), target, where)
            + masked_mse(render((w_post, post)), target, m_post * where)
            + masked_mse(render((w_prev, prev)), target, m_prev * where)
        )
        if phase.chained:
            far = ask(model.field.dynamic, p_far, time(2 * phase.direction))
            chained = render((alone(far, draws[4]), far))
            losses[name] = losses[name] + masked_mse(chained, target, m_d * exists(2 * phase.direction))

    losses["prob_reg_loss"] = dynamic["occlusions_bw"].abs().mean() + dynamic["occlusions_fw"].abs().mean()
    trust_post = (1 - dynamic["occlusions_fw"]) * exists(1)[:, None]
    trust_prev = (1 - dynamic["occlusions_bw"]) * exists(-1)[:, None]
    losses["sf_cycle_loss"] = masked_mae(dynamic["flows_fw"], -post["flows_bw"], trust_post) + masked_mae(
        dynamic["flows_bw"], -prev["flows_fw"], trust_prev
    )
    axis = -1 if config.literal else 1
    losses["sf_reg_loss"] = sum(
        (w_dy[:, :, None] * dynamic[f]).sum(axis).abs().mean() for f in ("flows_fw", "flows_bw")
    )
    losses["depth_loss"] = depth_loss(((w_d + w_s if config.depth_full else w_dy) * s).sum(1), targets, config.literal)

    losses["flow_loss"] = 0
    for p, step, seen, valid in (
        (p_post, 1, targets.next_pixels, targets.next_valid),
        (p_prev, -1, targets.previous_pixels, targets.previous_valid),
    ):
        expected = (w_dy[:, :, None] * p).sum(1)
        if not config.literal:
            # The mean is taken in the unit cube, whose corner is -1.
            weight = w_dy.sum(1)[:, None]
            expected = (expected + weight) / weight.clamp_min(1e-3) - 1
            valid = valid * (weight[:, 0] >= 1e-3)  # else there is no mean
        pixels = project(model, (k + step).clamp(0, n_frames - 1), euclidean(model, expected))
        losses["flow_loss"] = losses["flow_loss"] + masked_mae(pixels, seen, valid)

    here, world_post, world_prev = (euclidean(model, p) for p in (points, p_post, p_prev))
    near, far = euclidean(model, p_near), euclidean(model, p_far)
    n95, n90 = int(0.95 * n_samples), int(0.9 * n_samples)

    def spatial(neighbour, mask):
        u = (here - neighbour)[:, :n95]
        return masked_mae(u[:, :-1], u[:, 1:], mask[:, None].expand(-1, n95 - 1))

    def kinetic(ref, post, prev, mask):
        u = ((post - ref) - (ref - prev))[:, :n90]
        return 0.5 * masked_mse(u, 0 * u, mask[:, None].expand(-1, n90))

    losses["sf_sm_loss_spatial"] = spatial(world_post, exists(1)) + spatial(world_prev, exists(-1))
    losses["sf_sm_loss_kinetic"] = kinetic(here, world_post, world_prev, exists(1) * exists(-1))
    losses["sf_sm_loss_kinetic"] *= 2 if config.literal else 1
    chain = (near, far, here) if forwards else (near, here, far)
    losses["sf_sm_loss_chain"] = kinetic(*chain, exists(2 * phase.direction))
    one_sided = -(v * torch.log(v + 1e-8)).mean()
    losses["entropy_loss"] = one_sided if config.literal else (-v * v.log() - (1 - v) * (1 - v).log()).mean()
    return losses


def masked_mse(a, b, mask):
    return (mask[..., None] * (a - b) ** 2).sum() / ((mask[..., None] * torch.ones_like(a)).sum() + 1e-8)


def masked_mae(a, b, mask):
    return (mask[..., None] * (a - b).abs()).sum() / ((mask[..., None] * torch.ones_like(a)).sum() + 1e-8)


def depth_loss(d, targets, literal):
    """Per frame, since a batch mixes them; not literally, only where the prior is known, and by how much."""
    mask = torch.ones_like(d) if literal else targets.depth_confidence
    total = 0
    for frame in targets.frames.unique():
        mine = (targets.frames == frame) & (mask > 0)
        a, b = (
            (x[mine] - x[mine].median()) / (x[mine] - x[mine].median()).abs().mean().clamp_min(1e-3)
            for x in (d, targets.depth)
        )
        total = total + (mask[mine] * (a - b) ** 2).sum()
    return total / (mask.sum() + 1e-8)


def world_rays(model, poses, pixels):
    """Pixels as the program has them: no half pixel, but a principal point that lies half a pixel further."""
    fx, fy, cx, cy = model.cameras.intrinsics[poses].unbind(1)
    x, y = pixels.unbind(1)
    local = torch.stack([(x - cx) / fx, -(y - cy) / fy, -torch.ones_like(x)], 1)
    rotation = model.cameras.c2w[poses][:, :, :3] * torch.tensor([1.0, -1, -1])  # OpenGL axes
    return model.cameras.c2w[poses][:, :, 3], (rotation * local[:, None]).sum(2)


def unit_directions(model, poses, pixels):
    directions = world_rays(model, poses, pixels)[1]
    return directions / directions.norm(dim=1, keepdim=True)


def ndc_rays(model, poses, pixels):
    near, sx, sy = model.space.near, model.space.scale_x, model.space.scale_y
    o, d = world_rays(model, poses, pixels)
    o = o - ((near + o[:, 2]) / d[:, 2])[:, None] * d
    (ox, oy, oz), (dx, dy, dz) = o.unbind(1), d.unbind(1)
    start = torch.stack([-sx * ox / oz, -sy * oy / oz, 1 + 2 * near / oz], 1)
    span = torch.stack([-sx * (dx / dz - ox / oz), -sy * (dy / dz - oy / oz), -2 * near / oz], 1)
    return start, span


def euclidean(model, p):
    """`NDC2Euclidean` with z clamped in front of the singularity in place of its epsilon."""
    z = 2 * model.space.near / (p[..., 2].clamp_max(1 - 1e-4) - 1)
    return torch.stack([-p[..., 0] * z / model.space.scale_x, -p[..., 1] * z / model.space.scale_y, z], -1)


def project(model, poses, world):
    c2w, (fx, fy, cx, cy) = model.cameras.c2w[poses], model.cameras.intrinsics[poses].unbind(1)
    rotation = c2w[:, :, :3] * torch.tensor([1.0, -1, -1])
    x, y, z = ((world - c2w[:, :, 3])[:, :, None] * rotation).sum(1).unbind(1)
    pixels = torch.stack([x * fx / -z + cx, -y * fy / -z + cy], 1)
    assert pixels.abs().max() < 4 * max(model.cameras.width, model.cameras.height)  # where nothing is clamped
    return pixels
