"""Starts Synapse with a database that does not wait for the disk.

A process that is killed loses nothing by it, only a machine that loses its power; and most of the time
that a test waits for Synapse, Synapse waits for the disk.
"""

import runpy
import sqlite3

connect = sqlite3.connect


def connect_without_waiting(*args, **kwargs):
    connection = connect(*args, **kwargs)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


sqlite3.connect = connect_without_waiting
runpy.run_module("synapse.app.homeserver", run_name="__main__", alter_sys=True)
