"""What Arm's Ethos-U compiler can be told: its accelerators, and the systems and memory modes of its own vela.ini."""

from __future__ import annotations

from enum import StrEnum


class VelaAccelerator(StrEnum):
    """`--accelerator-config`: the NPU and its multiply-accumulate units."""

    U55_32 = "ethos-u55-32"
    U55_64 = "ethos-u55-64"
    U55_128 = "ethos-u55-128"
    U55_256 = "ethos-u55-256"
    U65_256 = "ethos-u65-256"
    U65_512 = "ethos-u65-512"
    U85_128 = "ethos-u85-128"
    U85_256 = "ethos-u85-256"
    U85_512 = "ethos-u85-512"
    U85_1024 = "ethos-u85-1024"
    U85_2048 = "ethos-u85-2048"


class VelaSystem(StrEnum):
    """`--system-config`: clock, memories and their bandwidths."""

    U55_DEEP_EMBEDDED = "Ethos_U55_Deep_Embedded"
    U55_HIGH_END_EMBEDDED = "Ethos_U55_High_End_Embedded"
    U65_EMBEDDED = "Ethos_U65_Embedded"
    U65_MID_END = "Ethos_U65_Mid_End"
    U65_HIGH_END = "Ethos_U65_High_End"
    U65_CLIENT_SERVER = "Ethos_U65_Client_Server"
    U85_SYS_FLASH_LOW = "Ethos_U85_SYS_Flash_Low"
    U85_SYS_FLASH_HIGH = "Ethos_U85_SYS_Flash_High"
    U85_SYS_DRAM_LOW = "Ethos_U85_SYS_DRAM_Low"
    U85_SYS_DRAM_MID = "Ethos_U85_SYS_DRAM_Mid"
    U85_SYS_DRAM_HIGH = "Ethos_U85_SYS_DRAM_High"

    @property
    def family(self) -> str:
        """The NPU it describes, as `ethos-u65`."""
        return "-".join(self.value.lower().split("_")[:2])


class VelaMemoryMode(StrEnum):
    """`--memory-mode`: where weights, the arena and the cache lie."""

    SRAM_ONLY = "Sram_Only"
    SHARED_SRAM = "Shared_Sram"
    DEDICATED_SRAM = "Dedicated_Sram"
    DEDICATED_SRAM_256KB = "Dedicated_Sram_256KB"
    DEDICATED_SRAM_384KB = "Dedicated_Sram_384KB"
    DEDICATED_SRAM_512KB = "Dedicated_Sram_512KB"
