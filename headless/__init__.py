"""Running a graph without ComfyUI, or on ComfyUI servers: graphs, jobs, runner, the stock nodes they use."""
