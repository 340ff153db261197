"""`make bench`: caldavd beside the servers that a sysadmin would otherwise pick, on one machine in one run.

Every server gets a fresh store and the same events (:mod:`.events`), and answers the same requests
(:mod:`.workloads`) over kept connections of one client process (:mod:`.wire`). Rounds go from server to server, so that
a noisy minute is the same for all. An answer counts only if it is right. How each server is installed and started is in
:mod:`.peers`, the table and the chart are in :mod:`.report`.
"""
