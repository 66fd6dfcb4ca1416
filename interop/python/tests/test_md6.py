import subprocess
import unittest

from aemp import handshake
from aemp.md6 import constant_words, hmac_md6, md6, round_constants

VECTORS = {
    b"": "bca38b24a804aa37d821d31af00f5598230122c5bbfc4c4ad5ed40e4258f04ca",
    b"abc": "230637d4e6845cf0d092b558e87625f03881dd53a7439da34cf3b94ed0d8b2c5",
    512 * b"a": "404755fc05393be32dadac0a43ca2bf96e139f620af2186ec5d1d4acb53917d1",
    513 * b"a": "7f7bbd1ada0991428c7b90fe51acd50596aff7cfd71c86da715f96bbfdd93756",
    600 * b"a": "1f7967eefb468297ef0364de341cc79af9ddbb8b5bc670faf3b4e2471f7c5f6d",
}


class Md6(unittest.TestCase):
    def test_the_vectors(self):
        for message, digest in VECTORS.items():
            self.assertEqual(md6(message).hex(), digest, len(message))

    def test_a_tree_of_three_levels(self):
        self.assertEqual(md6(3000 * b"a").hex(),
                         "b0f0ce200c3cd5f5b8d6afa612b373d7f4ab66366b13009f1028577a932bce83")

    def test_constants(self):
        self.assertEqual((constant_words()[0], constant_words()[-1]), (0x7311C2812425CFA0, 0x0D6F3522631EFFCB))
        self.assertEqual(len(round_constants()), 104)

    def test_agrees_with_perls_digest(self):
        messages = [b"", b"abc", *(n * b"x" for n in (1, 511, 512, 513, 2047, 2048, 2049, 9000))]
        script = "use Digest::MD6; print Digest::MD6::md6_hex (pack 'H*', $_), \"\\n\" for @ARGV"
        try:
            out = subprocess.run(["perl", "-e", script, *(m.hex() for m in messages)],
                                 capture_output=True, check=True, timeout=60).stdout.decode().split()
        except (OSError, subprocess.SubprocessError):
            self.skipTest("there is no Digest::MD6")
        self.assertEqual(out, [md6(m).hex() for m in messages])

    def test_hmac(self):
        self.assertEqual(hmac_md6(b"key", b"data").hex(),
                         "d47ad7f69305ad00bbf681d81a25742bcf5f6b3a2010e23767f23d37339eb596")

    def test_a_key_of_a_block_is_not_hashed(self):
        self.assertEqual(hmac_md6(64 * b"k", b"d"), hmac_md6(64 * b"k" + b"", b"d"))
        self.assertEqual(hmac_md6(65 * b"k", b"d"), hmac_md6(md6(65 * b"k"), b"d"))
        self.assertEqual(hmac_md6(b"", b"d"), hmac_md6(bytes(64), b"d"))

    def test_the_worked_example(self):
        bob = (b"aemp;1;bob;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;peeraddr=127.0.0.1:4441"
               b";provider=AE-1.30", b"kqivEdX/nSi4T/4q335fNcz6jTr1FJlcNGPFSg/UHRi32lYXYuMY8YdMsd+ATggE2Wbw0ZpgdRcVgVIE5EgvysyU")
        alice = (b"aemp;1;alice;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;peeraddr=127.0.0.1:49010"
                 b";provider=AE-1.30", b"lfjdY39OuxgZWbzA5E+Iydriqrb3LMbjrHZnDch8rEt/S3bSkebPqqEgVaQWqcy4xNedPEbuIeMmMpgQKkdV7MN8")
        text = handshake.text(alice, bob)
        self.assertEqual(len(text), 413)
        self.assertEqual(handshake.token("hmac_md6_64_256", b"geheim", text),
                         "23fca72720074f33d81d6b307b88f35814ff9f69a127d67b4ce86ab30d4930cc")
