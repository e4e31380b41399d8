import torch

from emoflow.tasks.seeding import seed_torch


def test_the_cpu_draws_as_after_manual_seed() -> None:
    torch.manual_seed(7)
    wanted = torch.rand(3), torch.nn.functional.dropout(torch.ones(20))
    torch.rand(11)
    seed_torch(7, torch.device("cpu"))
    found = torch.rand(3), torch.nn.functional.dropout(torch.ones(20))
    assert all(map(torch.equal, wanted, found))
