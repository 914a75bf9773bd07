import logging
from prometheus_client import Histogram, start_http_server
HEARTBEAT_LATENCY = Histogram("stratavore_heartbeat_latency_seconds","x")
def serve(port):
    server,_ = start_http_server(0); return server
def configure_logging(s): logging.basicConfig(stream=s, level=20)
async def snapshot(c): return None
def set_snapshot(s): pass
