"""baresip, run and not imitated: a phone that sends a tone, records what it hears, and says what it did."""

import math
import struct
import subprocess
import wave
from pathlib import Path

from conftest import DOMAIN, PASSWORD, wait_until

RATE = 8000


def write_tone(path, hertz, seconds=40):
    with wave.open(str(path), "w") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        step = 2 * math.pi * hertz / RATE
        out.writeframes(b"".join(struct.pack("<h", int(8000 * math.sin(step * n))) for n in range(RATE * seconds)))


def amplitude(samples, hertz):
    """How much of one frequency there is (Goertzel), in samples' units."""
    if not samples:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / RATE)
    one = two = 0.0
    for sample in samples:
        one, two = sample + coefficient * one - two, one
    return math.sqrt(max(0.0, one * one + two * two - coefficient * one * two)) * 2 / len(samples)


class Phone:
    """One baresip with one account."""

    def __init__(self, service, name, transport="udp", hertz=440, codecs="pcmu", encryption=None, pictures=False):
        self.name = name
        self.folder = Path(service.folder) / f"phone-{name}"
        self.folder.mkdir()
        port = service.ports["sip.tls" if transport == "tls" else f"sip.{transport}"]
        outbound = f"sip:127.0.0.1:{port};transport={transport}"
        write_tone(self.folder / "tone.wav", hertz)
        (self.folder / "accounts").write_text(
            f'<sip:{name}@{DOMAIN}>;auth_pass={PASSWORD};outbound="{outbound}";regint=60;answermode=auto;'
            f"audio_codecs={codecs}{f';mediaenc={encryption}' if encryption else ''}{';video_codecs=vp8' if pictures else ''}\n"
        )
        (self.folder / "contacts").write_text("")
        (self.folder / "config").write_text(
            "module_path /usr/lib/baresip/modules\n"
            "sip_listen 127.0.0.1:0\nsip_verify_server no\n"
            f"audio_source aufile,{self.folder}/tone.wav\naudio_player aufile,{self.folder}/played.wav\n"
            f"ausrc_srate {RATE}\nauplay_srate {RATE}\nausrc_channels 1\nauplay_channels 1\n"
            f"snd_path {self.folder}\n"
            "opus_stereo no\nopus_sprop_stereo no\n"
            "module stdio.so\nmodule g711.so\nmodule g722.so\nmodule srtp.so\nmodule opus.so\nmodule aufile.so\nmodule sndfile.so\n"
            "module_tmp account.so\nmodule_app menu.so\n"
        )
        if pictures:
            # A source without a camera, and a screen that throws away what it is given.
            with open(self.folder / "config", "a") as config:
                config.write("module fakevideo.so\nmodule vp8.so\nvideo_source fakevideo,nil\nvideo_display fakevideo,nil\n")
                config.write("video_size 320x240\nvideo_bitrate 300000\nvideo_fps 10\n")
        self.process = None

    def start(self, *commands):
        words = ["stdbuf", "-o0", "-e0", "baresip", "-f", str(self.folder), "-s"]
        for command in commands:
            words += ["-e", command]
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)
        return self

    def says(self):
        return (self.folder / "log").read_bytes().decode(errors="replace")

    def wait_for(self, text, seconds=15):
        wait_until(lambda: text in self.says(), seconds, f"{self.name}: «{text}»")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=15)
        self.log.close()

    def heard(self):
        """Everything that was heard, as samples of one channel at RATE: what was decoded has the codec's rate."""
        samples = []
        for path in sorted(self.folder.glob("dump-*-dec.wav")):
            whole = path.read_bytes()
            if len(whole) < 44:
                continue
            channels, rate = struct.unpack_from("<HI", whole, 22)
            data = whole[44:]
            every = struct.unpack(f"<{len(data) // 2}h", data[: len(data) // 2 * 2])
            samples += every[:: channels * rate // RATE]
        return samples

    def hears(self, hertz, seconds=1.0):
        """How loud one tone was in the last second that was heard."""
        return amplitude(self.heard()[-int(RATE * seconds):], hertz)
