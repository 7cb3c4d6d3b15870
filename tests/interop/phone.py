"""baresip, run and not imitated: a phone that sends a tone, records what it hears, and says what it did."""

import hashlib
import math
import socket
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


def amplitude(samples, hertz, rate=RATE):
    """How much of one frequency there is (Goertzel), in samples' units."""
    if not samples:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / rate)
    one = two = 0.0
    for sample in samples:
        one, two = sample + coefficient * one - two, one
    return math.sqrt(max(0.0, one * one + two * two - coefficient * one * two)) * 2 / len(samples)


class Phone:
    """One baresip with one account."""

    def __init__(self, service, name, transport="udp", hertz=440, codecs="pcmu", encryption=None, pictures=False, domain=DOMAIN):
        self.name = name
        self.folder = Path(service.folder) / f"phone-{name}-{domain}"
        self.folder.mkdir()
        port = service.ports["sip.tls" if transport == "tls" else f"sip.{transport}"]
        outbound = f"sip:127.0.0.1:{port};transport={transport}"
        write_tone(self.folder / "tone.wav", hertz)
        (self.folder / "accounts").write_text(
            f'<sip:{name}@{domain}>;auth_pass={PASSWORD};outbound="{outbound}";regint=60;answermode=auto;'
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
            "module stdio.so\nmodule g711.so\nmodule g722.so\nmodule srtp.so\nmodule dtls_srtp.so\nmodule opus.so\nmodule aufile.so\nmodule sndfile.so\n"
            "module_tmp account.so\nmodule_app menu.so\n"
        )
        if pictures:
            # A source without a camera, and a screen that throws away what it is given.
            with open(self.folder / "config", "a") as config:
                config.write("module fakevideo.so\nmodule vp8.so\nvideo_source fakevideo,nil\nvideo_display fakevideo,nil\n")
                config.write("video_size 320x240\nvideo_bitrate 300000\nvideo_fps 10\n")
        self.process = None

    def add_modules(self, *names):
        with open(self.folder / "config", "a") as config:
            config.writelines(f"module_app {name}.so\n" for name in names)

    def tell(self, keys):
        """Types a command, which a new line ends, or keys in a call."""
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

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


class Linphone:
    """One linphonec with one account, whose sound card is files."""

    def __init__(self, service, name, hertz):
        self.name, self.folder = name, Path(service.folder) / f"linphone-{name}"
        (self.folder / ".local/share/linphone").mkdir(parents=True)
        write_tone(self.folder / "tone.wav", hertz)
        port = service.ports["sip.tcp"]
        ha1 = hashlib.sha256(f"{name}:{DOMAIN}:{PASSWORD}".encode()).hexdigest()
        (self.folder / "rc").write_text(
            "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\ndefault_proxy=0\nmedia_encryption=none\n"
            f"[proxy_0]\nreg_proxy=<sip:127.0.0.1:{port};transport=tcp>\nreg_route=<sip:127.0.0.1:{port};transport=tcp>\n"
            f"reg_identity=<sip:{name}@{DOMAIN}>\nreg_expires=600\nreg_sendregister=1\n"
            f"[auth_info_0]\nusername={name}\nha1={ha1}\nrealm={DOMAIN}\ndomain={DOMAIN}\nalgorithm=SHA-256\n"
            "[net]\nfirewall_policy=none\n[rtp]\nsymmetric=1\n"
            "[sound]\nplayback_dev_id=none\ncapture_dev_id=none\nechocancellation=0\n"
        )
        self.environment = {**service.environment, "HOME": str(self.folder)}
        self.process = None

    def start(self, *commands):
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            ["stdbuf", "-o0", "linphonec", "-c", str(self.folder / "rc")],
            stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=self.environment,
        )
        self.tell("soundcard use files", f"play {self.folder}/tone.wav", f"record {self.folder}/heard.wav")
        self.wait_for("linphonec> record")
        self.tell(*(command.replace("/dial", "call") for command in commands))
        return self

    def tell(self, *commands):
        self.process.stdin.write("".join(f"{command}\n" for command in commands).encode())
        self.process.stdin.flush()

    def says(self):
        return (self.folder / "log").read_bytes().decode(errors="replace")

    def wait_for(self, text, seconds=20):
        wait_until(lambda: text in self.says(), seconds, f"{self.name}: «{text}»")

    def hears(self, hertz, seconds=1.0):
        """How loud one tone was in the last second that was heard."""
        path = self.folder / "heard.wav"
        whole = path.read_bytes() if path.exists() else b""
        if len(whole) < 44:
            return 0.0
        # While it is written its head does not say so.
        rate = struct.unpack_from("<I", whole, 24)[0] or 48_000
        data = whole[44 : 44 + (len(whole) - 44) // 2 * 2]
        samples = struct.unpack(f"<{len(data) // 2}h", data)
        return amplitude(samples[-int(rate * seconds) :], hertz, rate)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=15)
        self.log.close()


def ring(service, name):
    """Somebody of another service lets a phone of ours ring, and gives up: a call that has a row, and is in the timeline."""
    (address, phone) = f"{name}@{DOMAIN}", Phone(service, name, "tls")
    accounts = phone.folder / "accounts"
    accounts.write_text(accounts.read_text().replace("answermode=auto", "answermode=manual"))
    phone.start()
    try:
        phone.wait_for("SIP/2.0 200 OK")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as eve:
            eve.bind(("127.0.0.1", 0))
            eve.settimeout(10)

            def send(method):
                eve.sendto(
                    f"{method} sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{eve.getsockname()[1]};branch=z9hG4bKeve;rport\r\n"
                    f"Max-Forwards: 70\r\nFrom: <sip:eve@elsewhere.example>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: eve@elsewhere\r\n"
                    f"CSeq: 1 {method}\r\nContact: <sip:eve@127.0.0.1>\r\nContent-Length: 0\r\n\r\n".encode(),
                    ("127.0.0.1", service.ports["sip.udp"]),
                )

            for method, status in (("INVITE", 180), ("CANCEL", 487)):
                send(method)
                while f"SIP/2.0 {status} " not in eve.recv(4096).decode():
                    pass
    finally:
        phone.stop()
    wait_until(lambda: "eve@elsewhere" in service.run("calls", "export"), what="the row of the call")
    wait_until(lambda: "call_cancelled" in service.run("trace", address), what="the call in the timeline")
