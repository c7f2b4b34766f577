from saff_fast.render.views import View, protocol_views


def test_the_published_ids():
    views = protocol_views(24)
    assert len(views) == 60
    assert views[17] == View(17, "input", 17, 17)
    assert views[25] == View(25, "fix_cam0", 0, 1)
    assert views[49] == View(49, "fix_time0", 1, 0)
    assert [view.id for view in views] == list(range(60))


def test_short_videos_have_fewer_cameras():
    assert [view.pose for view in protocol_views(5)[10:]] == [0, 1, 2, 3, 4]
