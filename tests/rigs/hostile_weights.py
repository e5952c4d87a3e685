"""Files of weights that run code when they are unpickled, to be refused."""

from __future__ import annotations

import os
import pickle

import torch


class Evil:
    """Makes a marker folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def crafted(fpath, how, marker):
    content = {"a": torch.ones(2), "evil": Evil(marker)}
    if how == "zip":
        torch.save(content, fpath)
    elif how == "legacy":
        torch.save(content, fpath, _use_new_zipfile_serialization=False)
    else:
        fpath.write_bytes(pickle.dumps(content["evil"], protocol=int(how)))
    return fpath
