"""The circuit of referee.rs in SEAL, through TenSEAL's binding of it.

Arguments: log2 N, log2 of the scale, bits of the primes with the special one last, rotations of both layers, the last rotation.
Input: the vector and the diagonals of both layers, output: the slots after each stage, as little-endian doubles.
"""

import array
import json
import sys

import tenseal.sealapi as seal

log_n, log_scale, bits, layers, last = (json.loads(argument) for argument in sys.argv[1:])
n, scale = 1 << log_n, 2.0**log_scale

parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
parameters.set_poly_modulus_degree(n)
parameters.set_coeff_modulus(seal.CoeffModulus.Create(n, bits))
context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
keygen = seal.KeyGenerator(context)
relin_keys, galois_keys = seal.RelinKeys(), seal.GaloisKeys()
keygen.create_relin_keys(relin_keys)
rotations = {r for layer in layers for r in layer if r} | {last}
# By Galois element: rotating by r is X -> X^(3^r) in SEAL.
keygen.create_galois_keys([pow(3, r, 2 * n) for r in sorted(rotations)], galois_keys)
encryptor = seal.Encryptor(context, keygen.secret_key())
decryptor = seal.Decryptor(context, keygen.secret_key())
encoder, evaluator = seal.CKKSEncoder(context), seal.Evaluator(context)
primes = [modulus.value() for modulus in parameters.coeff_modulus()]


def read():
    values = array.array("d")
    values.frombytes(sys.stdin.buffer.read(4 * n))
    return values.tolist()


def show(ciphertext):
    plain = seal.Plaintext()
    decryptor.decrypt(ciphertext, plain)
    sys.stdout.buffer.write(array.array("d", encoder.decode_double(plain)).tobytes())


def linear(ciphertext, rotations, level):
    """Sum of diagonals times rotations; the diagonals' scale makes the result's the nominal one."""
    products = []
    for rotation in rotations:
        turned, plain, product = seal.Ciphertext(), seal.Plaintext(), seal.Ciphertext()
        # By 0 it copies.
        evaluator.rotate_vector(ciphertext, rotation, galois_keys, turned)
        encoder.encode(read(), ciphertext.parms_id(), scale * primes[level] / ciphertext.scale, plain)
        evaluator.multiply_plain(turned, plain, product)
        products.append(product)
    total = seal.Ciphertext()
    evaluator.add_many(products, total)
    evaluator.rescale_to_next_inplace(total)
    return total


plain, x = seal.Plaintext(), seal.Ciphertext()
encoder.encode(read(), scale, plain)
encryptor.encrypt_symmetric(plain, x)
show(x)
x = linear(x, layers[0], 3)
show(x)
evaluator.square_inplace(x)
evaluator.relinearize_inplace(x, relin_keys)
evaluator.rescale_to_next_inplace(x)
show(x)
x = linear(x, layers[1], 1)
turned = seal.Ciphertext()
evaluator.rotate_vector(x, last, galois_keys, turned)
evaluator.add_inplace(x, turned)
show(x)
